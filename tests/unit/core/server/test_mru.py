import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, WallNs
from ntp_usg.core.base.snapshots import SystemSnapshot
from ntp_usg.core.server.clients import ClientTable
from ntp_usg.core.server.listing import list_clients
from ntp_usg.core.server.monitor import Identity, answer_control
from ntp_usg.core.server.mru import MruList, Occupancy
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.wire.control import ControlMessage, ErrorCode, Opcode, RefusedError, build_control, parse_control

ASKER = ip_address("127.0.0.1").packed
POLICY = ServerPolicy(packets_per_second=1.0, burst_size=1)
BOOT = WallNs(1_771_243_200 * NS_PER_SECOND)


@dataclass
class Server:
    """A list of clients, and one who asks for it as ntpq does."""

    now: MonoNs = MonoNs(1000 * NS_PER_SECOND)
    slew: int = 0
    table: ClientTable = field(default_factory=lambda: ClientTable(20_000))

    def __post_init__(self) -> None:
        self.mru = MruList(b"secret", lambda question, now: list_clients([self.table], POLICY, question, now))

    def ask(self, opcode: int, data: str = "", client: bytes = ASKER) -> str:
        message = ControlMessage(opcode, sequence=1, data=data.encode())
        return self.mru.answer(client, message, self.now, WallNs(BOOT + self.now + self.slew)).decode("ascii")

    def nonce(self, client: bytes = ASKER) -> str:
        return self.ask(Opcode.REQUEST_NONCE, client=client).strip()

    def read(self, data: str = "frags=32") -> list[tuple[str, str]]:
        return items(self.ask(Opcode.READ_MRU, f"{self.nonce()}, {data}"))


def items(answer: str) -> list[tuple[str, str]]:
    assert answer.endswith("\r\n")
    return [(name, value) for name, _, value in (item.partition("=") for item in answer.strip().split(", "))]


def rows(answer: list[tuple[str, str]]) -> list[dict[str, str]]:
    """By what stands behind the dot of each name."""
    found: dict[str, dict[str, str]] = {}
    for name, value in answer:
        if match := re.fullmatch(r"(\w+)\.(\d+)", name):
            found.setdefault(match[2], {})[match[1]] = value
    assert list(found) == [str(number) for number in range(len(found))]
    return list(found.values())


@pytest.fixture
def server() -> Server:
    return Server()


def fill(server: Server, clients: int) -> None:
    for number in range(clients):
        address = ip_address("2001:db8::" if number % 2 else "192.0.2.0") + number
        server.table.visit(address.packed, MonoNs(server.now - (clients - number // 3) * 1_000_000))


def test_a_client_is_told_with_hits_and_both_times_and_the_list_ends_with_now(server: Server):
    for second in (900, 905, 999):
        server.table.visit(ip_address("192.0.2.1").packed, MonoNs(second * NS_PER_SECOND))
    told = server.read()
    assert [name for name, _ in told] == [
        "nonce",
        *(f"{name}.0" for name in ("addr", "last", "first", "ct", "mv", "rs")),
        "now",
        "last.newest",
    ]
    values = dict(told)
    assert (values["addr.0"], values["ct.0"], values["mv.0"], values["rs.0"]) == ("192.0.2.1:0", "3", "0", "0x0")
    last, first, now = (int(values[name][2:10], 16) for name in ("last.0", "first.0", "now"))
    assert (now - last, last - first) == (1, 99)
    assert values["last.newest"] == values["last.0"]


def test_whoever_is_refused_for_asking_too_often_has_ntpds_flag_for_it(server: Server):
    place = server.table.visit(ip_address("2001:db8::1").packed, server.now)
    server.table.due[place] = server.now + NS_PER_SECOND
    assert rows(server.read())[0]["rs"] == "0x20"
    assert rows(server.read())[0]["addr"] == "[2001:db8::1]:0"


@pytest.mark.parametrize("limit", ["frags=1", "frags=3", "frags=32", "limit=7", "limit=1", ""])
def test_ntpq_that_quotes_its_last_entry_gets_every_client_once(server: Server, limit: str):
    fill(server, 500)
    collected, quoted = list[dict[str, str]](), ""
    for _ in range(501):
        answer = server.read(f"{limit}{quoted}")
        collected += rows(answer)
        if "now" in dict(answer):
            break
        newest = collected[-1]
        quoted = f", addr.0={newest['addr']}, last.0={newest['last']}, addr.1=10.0.0.1:0, last.1={newest['last']}"
        server.slew += 1000  # the clock is slewed between the parts
        server.now = MonoNs(server.now + NS_PER_SECOND)
    assert len(collected) == len({row["addr"] for row in collected}) == 500
    assert [row["last"] for row in collected] == sorted(row["last"] for row in collected)


def test_what_was_quoted_is_confirmed(server: Server):
    fill(server, 3)
    newest = rows(server.read())[0]
    answer = dict(server.read(f"frags=4, addr.0={newest['addr']}, last.0={newest['last']}"))
    assert (answer["addr.older"], answer["last.older"]) == (newest["addr"], newest["last"])


def test_an_answer_takes_no_more_packets_than_were_asked_for(server: Server):
    fill(server, 2000)
    for fragments in (1, 2, 32):
        answer = server.ask(Opcode.READ_MRU, f"{server.nonce()}, frags={fragments}")
        assert (fragments - 1) * 468 < len(answer) <= fragments * 468
    assert len(server.ask(Opcode.READ_MRU, f"{server.nonce()}, frags=2000")) <= 32 * 468


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("mincount=2", 1),
        ("maxlstint=5", 2),
        ("minlstint=5", 1),
        ("resany=0x20", 1),
        ("resall=0x20", 1),
        ("resany=0x400", 0),
        ("resall=0x420", 0),
        ("recent=2", 2),
        ("recent=2, mincount=2", 1),
        ("recent=99", 3),
    ],
)
def test_the_filters_of_ntpq_choose(server: Server, filters: str, count: int):
    for number, age in enumerate((10, 4, 1, 1)):
        place = server.table.visit(bytes([10, 0, 0, min(number, 2)]), MonoNs(server.now - age * NS_PER_SECOND))
    server.table.due[place] = server.now + NS_PER_SECOND
    assert len(rows(server.read(f"frags=32, {filters}"))) == count


def refusal(server: Server, data: str) -> ErrorCode:
    with pytest.raises(RefusedError) as refused:
        server.ask(Opcode.READ_MRU, data)
    return refused.value.code


def test_a_nonce_is_good_for_its_client_only_and_for_16_seconds(server: Server):
    theirs = server.nonce(ip_address("192.0.2.9").packed)
    assert refusal(server, f"{theirs}, frags=1") is ErrorCode.PERMISSION
    nonce = server.nonce()
    server.now = MonoNs(server.now + 16 * NS_PER_SECOND)
    assert server.ask(Opcode.READ_MRU, f"{nonce}, frags=1")
    server.now = MonoNs(server.now + NS_PER_SECOND)
    assert refusal(server, f"{nonce}, frags=1") is ErrorCode.PERMISSION


def test_a_nonce_of_the_future_or_of_another_server_is_good_for_nothing(server: Server):
    other = Server(now=MonoNs(server.now + NS_PER_SECOND)).nonce()
    assert refusal(server, f"{other}, frags=1") is ErrorCode.PERMISSION
    stranger = MruList(b"other secret", lambda *_: ())
    foreign = stranger.answer(ASKER, ControlMessage(Opcode.REQUEST_NONCE, 1), server.now, WallNs(0)).decode().strip()
    assert refusal(server, f"{foreign}, frags=1") is ErrorCode.PERMISSION


@pytest.mark.parametrize(
    "nonce", ["", "nonce, ", "nonce=, ", "nonce=n0n, ", "nonce=nn, ", "nonce=n" + "f" * 40 + "n, "]
)
def test_without_a_nonce_nothing_is_told(server: Server, nonce: str):
    assert refusal(server, f"{nonce}frags=1") is ErrorCode.PERMISSION


@pytest.mark.parametrize(
    "parameter",
    [
        "laddr=127.0.0.1", "minscore=1", "frags", "frags=many", "frags=-1", "limit=99999999999", "mincount=1.5",
        "addr.0=10.0.0.1:0", "last.0=0x00000000.00000000", "addr.0=nobody:1, last.0=0x00000000.00000000",
        "addr.0=10.0.0.1:0, last.0=0x0.0", "addr.99=10.0.0.1:0", "=", "\xff",
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_a_way_that_ntpq_gives_up_at(server: Server, parameter: str):
    assert refusal(server, f"{server.nonce()}, {parameter}") is ErrorCode.BAD_FORMAT


def test_a_nonce_is_never_a_number_in_ntpqs_eyes(server: Server):
    for number in range(2000):
        value = server.nonce(number.to_bytes(4)).partition("=")[2]
        with pytest.raises(ValueError, match="invalid literal"):
            int(value, 0)
        with pytest.raises(ValueError, match="could not convert"):
            float(value)


def test_after_a_step_of_the_clock_the_dates_are_the_new_ones(server: Server):
    fill(server, 1)
    before = rows(server.read())[0]["last"]
    server.slew = 3600 * NS_PER_SECOND
    assert int(rows(server.read())[0]["last"][2:10], 16) - int(before[2:10], 16) == 3600


NAMES = ["frags", "limit", "recent", "mincount", "maxlstint", "minlstint", "resall", "resany", "addr.0", "last.0"]
NUMBERS = ["0", "1", "32", "0x7fffffff", "2147483648", "-1", "", "1e9"]
PLACES = ["[::]:0", "[::%1]:0", "0.0.0.0:0", "0xffffffff.ffffffff", "0x00000000.00000000"]
ITEMS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NUMBERS + PLACES)).map("=".join)
PIECES = st.one_of(st.text(max_size=20), ITEMS)


@given(pieces=st.lists(PIECES, max_size=12), opcode=st.sampled_from([Opcode.READ_MRU, Opcode.REQUEST_NONCE]))
def test_any_request_gets_a_bounded_answer_or_an_error_code(pieces: list[str], opcode: int):
    server = Server(table=ClientTable(50))
    for number in range(50):
        server.table.visit(bytes([10, 0, 0, number]), MonoNs(number + 1))
    data = ", ".join([server.nonce(), *pieces]).encode("utf-8")[:468]
    try:
        message = ControlMessage(opcode, sequence=1, data=data)
        answer = server.mru.answer(ASKER, message, server.now, WallNs(BOOT + server.now))
    except RefusedError:
        return
    assert answer.isascii()
    assert len(answer) <= 32 * 468


def test_ntpqs_packets_are_answered_with_the_systems_status(server: Server, locked_snapshot: SystemSnapshot):
    def ask(opcode: int, data: bytes = b"") -> list[ControlMessage]:
        packet = build_control(ControlMessage(opcode, sequence=9, data=data))
        tell = lambda message, now, wall: server.mru.answer(ASKER, message, now, wall)  # noqa: E731
        answer = answer_control(packet, locked_snapshot, IDENTITY, server.now, tell_clients=tell)
        return [parse_control(part) for part in answer]

    fill(server, 100)
    (nonce,) = ask(Opcode.REQUEST_NONCE)
    assert (nonce.status, nonce.error) == (0x0115, False)
    parts = ask(Opcode.READ_MRU, nonce.data.strip() + b", frags=4")
    assert len(parts) == 4
    assert len(rows(items(b"".join(part.data for part in parts).decode()))) > 8
    (refused,) = ask(Opcode.READ_MRU, b"frags=4")
    assert (refused.error, refused.status, refused.data) == (True, ErrorCode.PERMISSION << 8, b"")


def read_variables(server: Server, snapshot: SystemSnapshot, data: bytes, **tell: Any) -> ControlMessage:
    packet = build_control(ControlMessage(Opcode.READ_VARIABLES, sequence=9, data=data))
    (answer,) = answer_control(packet, snapshot, IDENTITY, server.now, **tell)
    return parse_control(answer)


def test_the_monitors_figures_go_to_who_asks_for_them_by_name(server: Server, locked_snapshot: SystemSnapshot):
    tell = {"tell_occupancy": lambda now: Occupancy(3, 5, 64, MonoNs(now - 90 * NS_PER_SECOND))}
    names = b"mru_enabled,mru_hashslots,mru_depth,mru_deepest,mru_maxdepth,mru_minage,mru_new,mru_oldest_age"
    told = read_variables(server, locked_snapshot, names, **tell).data
    assert told == (
        b"mru_enabled=0x1, mru_depth=3, mru_deepest=5, mru_maxdepth=64, mru_minage=0, mru_oldest_age=90\r\n"
    )
    assert b"mru" not in read_variables(server, locked_snapshot, b"", **tell).data


def test_while_there_are_no_clients_none_is_the_oldest(server: Server, locked_snapshot: SystemSnapshot):
    tell = {"tell_occupancy": lambda _: Occupancy(0, 0, 64, None)}
    names = b"mru_depth,mru_oldest_age"
    assert read_variables(server, locked_snapshot, names, **tell).data == b"mru_depth=0\r\n"


@pytest.mark.parametrize("names", [b"mru_nonsense", b"mru_depth,nonsense"])
def test_a_figure_that_no_monitor_has_is_unknown(server: Server, locked_snapshot: SystemSnapshot, names: bytes):
    tell = {"tell_occupancy": lambda _: Occupancy(0, 0, 64, None)}
    assert read_variables(server, locked_snapshot, names, **tell).status == ErrorCode.UNKNOWN_VARIABLE << 8
    assert read_variables(server, locked_snapshot, b"mru_depth").status == ErrorCode.UNKNOWN_VARIABLE << 8


IDENTITY = Identity(version="ntp_usg 1.2.3", processor="x86_64", system="Linux/6.1")
