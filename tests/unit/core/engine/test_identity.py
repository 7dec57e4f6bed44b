"""Neither we ourselves nor one server under two names are more witnesses of the time than there are."""

import random

import pytest

from ntp_usg.core.algorithms.selection import SelectionSettings
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.actions import Action, Note, Send, Steer
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import ServerPath, SourceSnapshot
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import EngineSettings, NetworkSettings
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp

START = 1_796_083_200 * NS_PER_SECOND


def asked(name: str, *, noselect: bool = False) -> NetworkSettings:
    return NetworkSettings(
        name=name,
        driver="ntp",
        device=name,
        reference_id=b"",
        noselect=noselect,
        association=AssociationSettings(name=name, min_poll=0, max_poll=0),
    )


class Network:
    """An engine whose names lead to addresses; each address is a server that is so many seconds ahead."""

    name = "virtual"

    def __init__(self, addresses: dict[str, str], ahead: dict[str, float], min_sources: int = 1, **more: bool) -> None:
        self.addresses = addresses
        self.ahead = ahead
        self.ours: set[str] = set()
        self.translated: set[str] = set()
        """Addresses that lead back to us although no interface has them."""
        self.reference_ids: dict[str, tuple[int, bytes]] = {}
        self.now = START
        self.notes: list[str] = []
        self.mapping = ClockMapping()
        settings = EngineSettings(
            servers=tuple(asked(name, noselect=more.get(name, False)) for name in addresses),
            selection=SelectionSettings(min_sources=min_sources),
        )
        self.engine = Engine(settings, self, random.Random(1).getrandbits)

    def read(self) -> tuple[HostNs, MonoNs]:
        return HostNs(self.now), MonoNs(self.now)

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self.mapping

    serving = current

    def run(self, duration: int = 40) -> None:
        for _ in range(duration):
            self.now += NS_PER_SECOND
            self.perform(self.engine.timer())

    def perform(self, actions: list[Action]) -> None:
        self.notes += [action.text for action in actions if isinstance(action, Note)]
        for action in actions:
            if isinstance(action, Steer):
                self.mapping = action.mapping
            elif isinstance(action, Send):
                self.exchange(action.association, action.data)

    def exchange(self, name: str, request: bytes) -> None:
        address = self.addresses[name]
        self.engine.located(name, address.encode()[-4:])
        self.engine.reached(name, ServerPath(address, 123), is_ours=address in self.ours)
        self.engine.seen_as(name, b"\x0a\0\0\1", frozenset({b"\x0a\0\0\2"}))
        self.engine.sent(name, HostNs(self.now))
        self.now += 1_000_000
        leads_back = address in self.translated | self.ours
        answer = self.own_answer(request) if leads_back else self.answer(address, request)
        self.perform(self.engine.receive(name, answer, HostNs(self.now)))

    def answer(self, address: str, request: bytes) -> bytes:
        told = to_ntp(WallNs(self.now + round(self.ahead[address] * NS_PER_SECOND)))
        stratum, reference_id = self.reference_ids.get(address, (1, b"GPS\0"))
        return build_header(
            Header(
                mode=Mode.SERVER,
                stratum=stratum,
                precision=-20,
                reference_id=reference_id,
                reference_timestamp=told - (hash(address) & 0xFFFFFFFF),
                origin_timestamp=parse_header(request).transmit_timestamp,
                receive_timestamp=told,
                transmit_timestamp=told,
            )
        )

    def own_answer(self, request: bytes) -> bytes:
        state = self.engine.serving()
        reply = Responder(ServerPolicy()).respond(
            request, b"\x7f\0\0\1", self.mapping.wall(HostNs(self.now)), state, MonoNs(self.now)
        )
        return bytes(reply.depart(self.mapping.wall(HostNs(self.now))))

    def source(self, name: str) -> SourceSnapshot:
        return next(each for each in self.engine.snapshot().sources if each.name == name)

    @property
    def synchronised(self) -> bool:
        return self.engine.serving().synchronised

    def votes(self) -> set[str]:
        return {each.name for each in self.engine.snapshot().sources if each.healthy}


@pytest.mark.fault(
    group="Servers",
    kind="Two [[source]] names lead to one and the same address.",
    noticed="The addresses are compared, not the names; `status` says that one server has one vote.",
    served="As if the second name were not there: a single server cannot outvote another one.",
)
def test_one_server_under_two_names_has_one_vote():
    network = Network({"one": "192.0.2.1", "same": "192.0.2.1", "other": "192.0.2.3"}, {"192.0.2.1": 7, "192.0.2.3": 0})
    network.run()
    assert network.votes() == {"one", "other"}
    assert not network.synchronised  # one against one
    assert network.source("same").reason.startswith("Another source asks the same address: one server has one vote.")


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_address():
    network = Network({"one": "192.0.2.1", "same": "::ffff:192.0.2.1"}, {"192.0.2.1": 0, "::ffff:192.0.2.1": 0})
    network.run()
    assert network.votes() == {"one"}


def test_one_server_under_two_names_does_not_meet_min_sources():
    network = Network({"one": "192.0.2.1", "same": "192.0.2.1"}, {"192.0.2.1": 0}, min_sources=2)
    network.run()
    assert not network.synchronised


def test_of_two_names_the_one_that_may_be_followed_counts():
    network = Network({"one": "192.0.2.1", "same": "192.0.2.1"}, {"192.0.2.1": 0}, one=True)
    network.run()
    assert network.votes() == {"same"}
    assert network.synchronised


@pytest.mark.parametrize("moves", ["one", "same"])
def test_when_one_name_moves_both_are_votes(moves):
    network = Network({"one": "192.0.2.1", "same": "192.0.2.1"}, {"192.0.2.1": 0, "192.0.2.2": 0}, min_sources=2)
    network.run()
    network.addresses[moves] = "192.0.2.2"
    network.run(60)
    assert network.votes() == {"one", "same"}
    assert network.synchronised


def test_a_second_name_that_moves_to_the_first_ones_address_loses_its_vote_at_once():
    network = Network({"one": "192.0.2.1", "same": "192.0.2.2"}, {"192.0.2.1": 0, "192.0.2.2": 0}, min_sources=2)
    network.run()
    assert network.synchronised
    network.addresses["same"] = "192.0.2.1"
    network.run(5)
    assert network.votes() == {"one"}


@pytest.mark.fault(
    group="Servers",
    kind="A [[source]] leads back to this server: its own address, an alias of it, or one that a router translates.",
    noticed="The address is one that we answer on, or the answer is our own; `status` says so.",
    served="As if that source were not there: our own time has no vote.",
)
@pytest.mark.parametrize("how", ["ours", "translated"])
def test_our_own_answer_is_no_witness_of_our_time(how):
    network = Network({"true": "192.0.2.1", "self": "192.0.2.9"}, {"192.0.2.1": 0}, min_sources=1)
    getattr(network, how).add("192.0.2.9")
    network.run(80)
    assert network.synchronised
    assert network.votes() == {"true"}
    assert "accepted/used" not in network.source("self").verdicts
    assert len([text for text in network.notes if text.startswith("self: This is our own answer")]) == 1
    assert network.source("self").reason.startswith("This is our own answer: the address leads back to this server")


@pytest.mark.parametrize("stratum", [1, 2, 3])
@pytest.mark.parametrize("reference_id", [b"\x0a\0\0\1", b"\x0a\0\0\2"])
def test_a_server_that_follows_us_at_any_of_our_addresses_is_not_followed_back(stratum, reference_id):
    network = Network({"one": "192.0.2.1"}, {"192.0.2.1": 0})
    network.reference_ids["192.0.2.1"] = (stratum, reference_id)
    network.run()
    assert not network.synchronised
    assert network.source("one").verdicts.keys() == {"rejected/loop"}
