"""Servers whose names have several addresses and the engine that asks them, in virtual time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from ntp_usg.core.associations.addresses import AddressBook
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.actions import Action, Leave, Note, Send, Steer
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, SourceSnapshot
from ntp_usg.core.engine.engine import CALM_TICK, Engine
from ntp_usg.core.engine.settings import EngineSettings, NetworkSettings
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

START_NS = 1_790_000_000 * 10**9

GOOD = Header(mode=Mode.SERVER, stratum=1, precision=-20, reference_id=b"GPS\0")
UNSET = replace(GOOD, leap=Leap.UNSYNCHRONISED)
DENY = replace(UNSET, stratum=0, reference_id=b"DENY")
RATE = replace(UNSET, stratum=0, reference_id=b"RATE")


class TrueClock:
    """A host's clock that is right."""

    name = "virtual"

    def __init__(self) -> None:
        self.now_ns = 0
        self.mapping = ClockMapping()

    def read(self) -> tuple[HostNs, MonoNs]:
        return HostNs(START_NS + self.now_ns), MonoNs(self.now_ns)

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self.mapping

    serving = current


@dataclass
class Server:
    """What one address answers: a header, or nothing; its clock is ahead by so many seconds."""

    header: Header | None = GOOD
    ahead: float = 0.0
    asked: int = 0


@dataclass
class Net:
    """Performs the engine's actions as the daemon does: names of servers, and what is at each of their addresses."""

    names: dict[str, list[Server]]
    polls: int = 4
    found: bool = True
    notes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = TrueClock()
        servers = tuple(
            NetworkSettings(
                name=name,
                driver="ntp",
                device=name,
                reference_id=b"",
                association=AssociationSettings(name=name, min_poll=self.polls, max_poll=10),
            )
            for name in self.names
        )
        self.engine = Engine(EngineSettings(servers=servers), self.clock, random.Random(1).getrandbits)
        self.books: dict[str, AddressBook[int]] = {name: AddressBook() for name in self.names}

    def run(self, duration: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.clock.now_ns + round(duration * 1e9)
        while not until() and self.engine.deadline() < end:
            self.clock.now_ns = max(self.clock.now_ns, self.engine.deadline())
            self.perform(self.engine.timer())
        self.clock.now_ns = max(end, self.clock.now_ns) if not until() else self.clock.now_ns

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Leave(name, why, for_ever):
                    self.left.append(why)
                    self.books[name].leave(MonoNs(self.clock.now_ns), for_ever=for_ever)
                case Send(name, data):
                    self.send(name, data)
                case Steer(mapping):
                    self.clock.mapping = mapping
                case Note(_, text):
                    self.notes.append(text)

    def send(self, name: str, data: bytes) -> None:
        now, book = MonoNs(self.clock.now_ns), self.books[name]
        if book.wants_lookup(now) and self.found:
            book.found(range(len(self.names[name])))
        number = book.choose(now)
        if number is None:
            return
        server = self.names[name][number]
        server.asked += 1
        self.engine.located(name, bytes([10, 0, list(self.names).index(name), number]))
        self.engine.sent(name, self.clock.read()[0])
        if server.header is None:
            return
        self.clock.now_ns += 1_000_000
        time = to_ntp(WallNs(self.clock.read()[0] - 500_000 + round(server.ahead * 1e9)))
        origin = parse_header(data).transmit_timestamp
        answer = replace(server.header, origin_timestamp=origin, receive_timestamp=time, transmit_timestamp=time)
        self.perform(self.engine.receive(name, build_header(answer), self.clock.read()[0]))

    @property
    def source(self) -> SourceSnapshot:
        return self.engine.snapshot().sources[0]


@pytest.mark.fault(
    group="Servers",
    kind="One of the addresses of a server's name is silent, not synchronised or refuses us (DENY).",
    noticed="One request gets no usable answer, or four in a row where it served before.",
    served="Time from the name's next address; the bad one is tried again after growing pauses, after a DENY never.",
)
@pytest.mark.parametrize("bad", [None, UNSET, DENY, RATE, replace(GOOD, root_dispersion=9.0)])
def test_a_bad_address_does_not_keep_the_next_one_from_being_followed(bad: Header | None) -> None:
    first, second = Server(bad), Server()
    net = Net({"name": [first, second]})
    net.run(120)
    assert net.engine.serving().synchronised
    assert net.source.reference_id == b"GPS\0"
    assert first.asked == 1


@pytest.mark.parametrize("bad", [None, UNSET, DENY])
def test_a_server_that_becomes_bad_is_left_for_another_address(bad: Header | None) -> None:
    first, second = Server(), Server()
    net = Net({"name": [first, second]})
    net.run(300)
    assert (first.asked > 5, second.asked) == (True, 0)
    first.header = bad
    net.run(10 * 2.0**net.source.poll_interval, until=lambda: second.asked > 0)
    assert second.asked == 1
    net.run(3600)
    assert net.source.healthy
    assert net.engine.serving().synchronised


def test_an_address_that_refuses_is_never_asked_again_however_often_the_name_is_looked_up() -> None:
    only = Server(DENY)
    net = Net({"name": [only]})
    net.run(86400)
    assert only.asked == 1
    assert "refused us" in net.source.reason


@pytest.mark.fault(
    group="Servers",
    kind="One of the addresses of a server's name gives wrong time.",
    noticed="It is a falseticker for eight requests in a row.",
    served="Time from the majority; the name's next address is asked instead.",
)
def test_an_address_whose_time_contradicts_the_majority_is_left_for_another() -> None:
    false, true = Server(ahead=5.0), Server()
    net = Net({"name": [false, true], "b": [Server()], "c": [Server()]})
    net.run(3600)
    assert net.left == ["Its time contradicts that of the majority."]
    assert net.source.offset == pytest.approx(0.0, abs=1e-3)
    assert net.source.healthy


def test_a_single_falseticker_is_asked_on_and_does_not_lead() -> None:
    false = Server(ahead=5.0)
    net = Net({"name": [false], "b": [Server()], "c": [Server()]})
    net.run(3600)
    asked = false.asked
    net.run(3600)
    assert false.asked > asked
    assert net.engine.snapshot().offset == pytest.approx(0, abs=1e-3)


def test_a_name_that_cannot_be_looked_up_is_tried_at_the_usual_pace_for_hours() -> None:
    net = Net({"name": [Server()]}, polls=6, found=False)
    net.run(6 * 3600)
    net.found = True
    back = net.clock.now_ns
    net.run(600, until=lambda: net.names["name"][0].asked > 0)
    assert net.clock.now_ns - back < 70e9


def test_when_the_network_returns_those_without_an_answer_are_asked_and_named() -> None:
    lost, good = Server(None), Server()
    net = Net({"lost": [lost], "good": [good]}, polls=6)
    net.run(6 * 3600)
    asked = lost.asked, good.asked
    net.perform(net.engine.network_returned())
    net.run(1)
    assert (lost.asked, good.asked) == (asked[0] + 1, asked[1])
    assert net.notes[-1] == "The network has changed: asking lost again"


def test_a_server_that_contradicts_the_clock_widens_its_bound_at_once():
    """Who of the two is wrong is told later; until then the bound covers both."""
    server = Server()
    net = Net({"a": [server]})
    net.run(300)
    now = MonoNs(net.clock.now_ns)
    assert net.engine.serving().root_dispersion_at(now) < 1e-3
    server.ahead = 0.05
    asked = server.asked
    net.run(100, until=lambda: server.asked > asked)
    serving = net.engine.serving()
    assert serving.synchronised
    assert serving.root_dispersion_at(MonoNs(net.clock.now_ns)) >= 0.05


def timers(net: Net, duration: float) -> int:
    """How often the engine wants to be called."""
    end, calls = net.clock.now_ns + round(duration * 1e9), 0
    while net.engine.deadline() < end:
        net.clock.now_ns = max(net.clock.now_ns, net.engine.deadline())
        net.perform(net.engine.timer())
        calls += 1
    return calls


def test_while_servers_are_followed_nothing_ticks_but_requests_and_the_life_of_the_state() -> None:
    net = Net({"name": [Server()]}, polls=6)
    net.run(600)
    assert timers(net, 6400) <= 6400 / CALM_TICK + 6400 / 64 + 1
    assert net.engine.serving().synchronised


def test_a_state_is_renewed_long_before_it_expires() -> None:
    net = Net({"name": [Server()]}, polls=10)
    net.run(6000)
    for _ in range(20):
        state = net.engine.serving()
        net.clock.now_ns = net.engine.deadline()
        assert net.clock.now_ns < state.expires_at - 10e9
        net.perform(net.engine.timer())


def test_people_hear_of_a_server_that_is_lost_with_the_request_that_shows_it() -> None:
    net = Net({"name": [Server()]}, polls=6)
    net.run(600)
    net.names["name"][0].header = None
    net.run(2000, until=lambda: not net.source.reach)
    assert any("lost" in note for note in net.notes)


def test_a_host_clock_that_was_set_is_noticed_when_the_kernel_says_so() -> None:
    net = Net({"name": [Server()]}, polls=10)
    net.run(6000)
    net.clock.now_ns = net.engine.deadline()
    net.perform(net.engine.timer())
    assert net.engine.deadline() > net.clock.now_ns
    net.engine.review_soon()
    assert net.engine.deadline() <= net.clock.now_ns
