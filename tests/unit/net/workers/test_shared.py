import mmap
import os
import random
import signal
import time
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.listing import Order, Question, list_clients, merge_clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.workers import shared
from ntp_usg.net.workers.shared import StateReader, StateWriter, build_state, map_counters, parse_state

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)


def state_of(number: int) -> ServingState:
    """A state whose every field says the same, so that a mixture of two shows."""
    return ServingState(
        leap=Leap(number % 4),
        stratum=number % 16,
        precision=-(number % 32),
        root_delay=float(number),
        root_dispersion=float(number),
        dispersion_rate=float(number),
        reference_id=number.to_bytes(4, "big"),
        reference_time=WallNs(number),
        mapping=ClockMapping(number, number, float(number), float(number), number),
        as_of=MonoNs(number),
        expires_at=MonoNs(number),
        host_minus_mono_ns=number,
        epoch=number,
    )


@pytest.fixture
def memory():
    descriptor = shared.create_state_memory()
    yield descriptor
    os.close(descriptor)


@given(
    st.builds(
        ServingState,
        leap=st.sampled_from(Leap),
        stratum=st.integers(0, 16),
        precision=st.integers(-128, 127),
        root_delay=FLOAT,
        root_dispersion=FLOAT,
        dispersion_rate=FLOAT,
        reference_id=st.binary(min_size=4, max_size=4),
        reference_time=INT64,
        mapping=st.builds(ClockMapping, INT64, INT64, FLOAT, FLOAT, INT64),
        as_of=INT64,
        expires_at=INT64,
        host_minus_mono_ns=INT64,
        epoch=INT64,
    )
)
def test_a_state_arrives_as_it_was_sent(state):
    assert parse_state(build_state(state)) == state


def test_every_field_of_the_state_crosses():
    default, sent = ServingState(), parse_state(build_state(state_of(1)))
    assert all(getattr(sent, field.name) != getattr(default, field.name) for field in fields(ServingState))


def test_before_the_first_state_a_reader_has_the_unsynchronised_one(memory):
    StateWriter(memory)
    assert StateReader(memory).read() == ServingState()


def test_every_reader_sees_the_newest_state(memory):
    writer, reader = StateWriter(memory), StateReader(memory)
    for number in range(1, 6):
        writer.write(state_of(number))
        assert reader.read() == state_of(number)
        assert reader.read() == state_of(number)
    assert StateReader(memory).read() == state_of(5)


def test_a_writer_that_died_half_way_leaves_the_previous_state_in_force(memory):
    with mmap.mmap(memory, 0) as raw:
        writer, reader = StateWriter(memory), StateReader(memory)
        writer.write(state_of(1))
        assert reader.read() == state_of(1)
        shared._NUMBER.pack_into(raw, 0, 2)  # announced, but its slot is still empty
        assert reader.read() == state_of(1)
        raw[320:330] = bytes(range(10))  # half-written
        assert reader.read() == state_of(1)
    writer.write(state_of(2))
    assert reader.read() == state_of(2)


def test_a_changed_bit_anywhere_in_a_slot_makes_it_unreadable(memory):
    with mmap.mmap(memory, 0) as raw:
        StateWriter(memory).write(state_of(1))
        for at in range(320, 320 + shared._SLOT_BYTES):
            raw[at] ^= 1
            assert StateReader(memory).read() == ServingState()
            raw[at] ^= 1
    assert StateReader(memory).read() == state_of(1)


def test_no_reader_ever_sees_a_mixture_of_two_states(memory):
    child = os.fork()
    if child == 0:
        writer = StateWriter(memory)
        number = 0
        while True:
            number += 1
            writer.write(state_of(number))
    reader = StateReader(memory)
    seen: set[int] = set()
    try:
        start = time.monotonic()
        while time.monotonic() < start + 0.5 or len(seen) < 20:
            state = reader.read()
            assert state in (ServingState(), state_of(state.as_of))
            seen.add(state.as_of)
            assert time.monotonic() < start + 10
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.fault(
    group="Attacks",
    kind="An attacker controls an answering worker and attacks the other processes through shared memory.",
    noticed="The kernel refuses changes of the memory's size, and of contents that only control may write.",
    served="The other workers serve the true time.",
)
def test_no_worker_can_change_the_state_that_all_serve(memory):
    writer = StateWriter(memory)
    writer.write(state_of(1))
    with pytest.raises(PermissionError):
        mmap.mmap(memory, 0)
    with pytest.raises(PermissionError):
        os.pwrite(memory, b"forged", 320)
    for again in (f"/proc/self/fd/{memory}", f"/dev/fd/{memory}"):
        descriptor = os.open(again, os.O_RDWR)
        with pytest.raises(PermissionError):
            mmap.mmap(descriptor, 0)
        os.close(descriptor)
    writer.write(state_of(2))
    assert StateReader(memory).read() == state_of(2)


def test_what_a_worker_writes_of_its_clients_is_listed_without_an_error_whatever_it_is():
    memory = shared.create_client_memory(64)
    table = shared.map_clients(memory)
    size = os.fstat(memory).st_size - 64
    forged = shared.map_clients(memory)
    for seed in range(20):
        os.pwrite(memory, random.Random(seed).randbytes(size) if seed else b"\xff" * size, 64)
        fingerprints = forged._fingerprint_many(forged.columns["address_high"], forged.columns["address_low"])
        forged.columns["fingerprint"][:] = fingerprints  # all rows are to look whole
        for order in Order:
            list_clients([table], ServerPolicy(), Question(order, 5), MonoNs(10**9))
        merge_clients([table, forged])
    os.close(memory)


def test_a_heartbeat_is_seen_on_the_other_side():
    memory = shared.create_heartbeat_memory()
    worker, control = shared.Heartbeat(memory), shared.Heartbeat(memory)
    os.close(memory)
    assert (control.count, control.busy) == (0, False)
    worker.beat()
    worker.busy = True
    assert (control.count, control.busy) == (1, True)


def test_counters_are_common_to_both_sides_and_outlast_the_worker():
    memory = shared.create_counter_memory()
    control, worker = map_counters(memory), map_counters(memory)
    worker.count(Verdict(Outcome.ANSWERED, Reason.BASIC))
    worker.clients = 7
    assert (control.as_dict(), control.clients) == ({"answered/basic": 1}, 7)
    map_counters(memory).count(Verdict(Outcome.ANSWERED, Reason.BASIC))
    assert control.as_dict() == {"answered/basic": 2}
    os.close(memory)


def test_every_verdict_has_a_counter_of_its_own():
    memory = shared.create_counter_memory()
    counters = map_counters(memory)
    os.close(memory)
    for outcome in Outcome:
        for reason in Reason:
            counters.count(Verdict(outcome, reason))
    assert counters.as_dict() == {f"{outcome}/{reason}": 1 for outcome in Outcome for reason in Reason}
    assert counters.clients == 0
