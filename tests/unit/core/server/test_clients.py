from random import Random

import numpy as np
import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.server.clients import BYTES_PER_CLIENT, WAYS, ClientTable, table_bytes


def address(number: int) -> bytes:
    return number.to_bytes(4, "big")


def ipv4(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def test_a_client_keeps_its_place():
    table = ClientTable(10)
    first = table.visit(address(1), MonoNs(100))
    assert table.visit(address(1), MonoNs(200)) == first
    assert (table.hits[first], table.last_seen[first]) == (2, 200)


def test_the_table_never_grows_beyond_its_bound():
    table = ClientTable(16)
    for number in range(1000):
        table.visit(address(number), MonoNs(number))
    assert len(table) == len(list(table.records())) == 16


def test_of_a_bucket_the_client_that_was_silent_longest_is_forgotten():
    table = ClientTable(WAYS)
    for number in range(WAYS):
        table.visit(address(number), MonoNs(10 + number))
    table.due[table.visit(address(0), MonoNs(50))] = 77
    table.visit(address(WAYS), MonoNs(51))
    assert {record.address for record in table.records()} == {address(0), *(address(n) for n in range(2, WAYS + 1))}
    assert table.due[table.visit(address(0), MonoNs(52))] == 77


def test_a_newcomer_inherits_nothing():
    table = ClientTable(WAYS)
    for number in range(WAYS):
        place = table.visit(address(number), MonoNs(10 + number))
        table.due[place] = table.next_kiss[place] = table.receive_timestamp[place] = 99
        table.transmit_timestamp[place] = table.epoch[place] = 99
    place = table.visit(address(100), MonoNs(60))
    assert table.due[place] == table.next_kiss[place] == table.receive_timestamp[place] == 0
    assert table.transmit_timestamp[place] == table.epoch[place] == 0
    assert table.hits[place] == 1


def test_clients_are_told_the_latest_first():
    table = ClientTable(100)
    six = bytes.fromhex("20010db8000000000000000000000001")
    for now, who in enumerate([address(1), address(2), six, address(1)], start=1):
        table.visit(who, MonoNs(now))
    told = [(record.address, record.hits, record.last_seen) for record in table.records()]
    assert told == [(address(1), 2, 4), (six, 1, 3), (address(2), 1, 2)]


@pytest.mark.parametrize("max_clients", [8, 64, 100_000])
def test_a_batch_finds_the_clients_that_were_met_alone_and_the_other_way_round(max_clients):
    random = Random(max_clients)
    alone, together = ClientTable(max_clients, seed=5), ClientTable(max_clients, seed=5)
    for now in range(1, 60):
        numbers = [random.randrange(40) for _ in range(random.choice([1, 3, 50]))]
        places, earlier, hits = together.visit_many(None, ipv4(*numbers), MonoNs(now))
        counted = [alone.hits[alone.visit(address(number), MonoNs(now))] for number in numbers]
        if max_clients > 40 * WAYS:
            expected = [numbers[:row].count(number) for row, number in enumerate(numbers)]
            assert (expected if any(expected) else None) == (None if earlier is None else earlier.tolist())
            assert hits.tolist() == counted
            assert [together.visit(address(number), MonoNs(now)) for number in numbers] == places.tolist()
            for number in numbers:
                alone.visit(address(number), MonoNs(now))
    if max_clients > 40 * WAYS:  # with room for all, both know the same of everybody
        assert sorted(map(str, alone.records())) == sorted(map(str, together.records()))
    assert len(together) <= table_bytes(max_clients) // BYTES_PER_CLIENT


def test_ipv6_addresses_are_found_alike_alone_and_in_a_batch():
    random = Random(1)
    table = ClientTable(1000, seed=random.getrandbits(128))
    addresses = [random.randbytes(16) for _ in range(100)]
    halves = np.frombuffer(b"".join(addresses), ">u8").astype(np.uint64).reshape(-1, 2)
    places, *_ = table.visit_many(halves[:, 0], halves[:, 1], MonoNs(1))
    assert [table.visit(each, MonoNs(2)) for each in addresses] == places.tolist()
    assert {record.address for record in table.records()} == set(addresses)


def test_more_newcomers_than_a_bucket_holds_end_in_it_all_the_same():
    table = ClientTable(WAYS)
    places, *_ = table.visit_many(None, ipv4(*range(100)), MonoNs(7))
    assert len(table) == WAYS
    assert set(places.tolist()) <= set(range(WAYS))


def test_no_two_ipv4_addresses_share_a_record():
    table = ClientTable(1_000_000)
    numbers = np.arange(0, 2**32, 2**32 // 100_000, dtype=np.uint64)
    fingerprints = table._fingerprint_many(None, numbers)
    assert len(np.unique(fingerprints)) == len(numbers)


def test_the_table_lives_in_the_memory_it_is_given():
    memory = memoryview(bytearray(table_bytes(20)))
    ClientTable(20, memory).visit(address(1), MonoNs(5))
    assert [record.address for record in ClientTable(20, memory).records()] == [address(1)]


def test_a_table_for_nobody_is_refused():
    with pytest.raises(ValueError, match="max_clients is 0"):
        ClientTable(0)
