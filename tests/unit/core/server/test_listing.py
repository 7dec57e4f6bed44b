from random import Random

import numpy as np
import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.server.clients import ClientRecord, Clients, ClientTable, split_halves
from ntp_usg.core.server.listing import Order, Question, list_clients, merge_clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.ratelimit import RateLimit

POLICY = ServerPolicy(packets_per_second=1.0, burst_size=2)
NOW = MonoNs(10**12)


def address(number: int) -> bytes:
    return number.to_bytes(4, "big")


def crowd(seed: int, visits: int, clients: int) -> ClientTable:
    """Many of whom were seen at the same time, as those of a batch are."""
    random, table = Random(seed), ClientTable(8 * clients, seed=seed)
    for _ in range(visits):
        number = random.randrange(clients)
        who = address(number) if number % 2 else number.to_bytes(16, "big")
        table.visit(who, MonoNs(random.randrange(1, visits // 4)))
    return table


def ask(question: Question, *tables: Clients, policy: ServerPolicy = POLICY) -> list[ClientRecord]:
    return list_clients(tables, policy, question, NOW)


RANKS = {
    Order.RECENT: lambda record: -record.last_seen,
    Order.HITS: lambda record: (-record.hits, -record.last_seen),
    Order.OLDEST: lambda record: (record.last_seen, split_halves(record.address)),
}


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("count", [1, 7, 40, 1000])
def test_the_few_asked_for_are_the_first_of_all_in_every_order(order: Order, count: int):
    tables = crowd(1, 300, 60), crowd(2, 200, 60)
    everybody = sorted((record for table in tables for record in table.records()), key=RANKS[order])
    told = ask(Question(order, count), *tables)
    assert list(map(RANKS[order], told)) == list(map(RANKS[order], everybody))[:count]


@pytest.mark.parametrize("count", [1, 3, 10])
def test_going_on_after_the_last_one_meets_everybody_once(count: int):
    tables, met = (crowd(3, 300, 60), crowd(4, 200, 30)), list[ClientRecord]()
    after = None
    while part := ask(Question(Order.OLDEST, count, after=after), *tables):
        met += part
        after = part[-1].last_seen, part[-1].address
    assert met == sorted((record for table in tables for record in table.records()), key=RANKS[Order.OLDEST])


def test_clients_are_chosen_by_hits_and_by_when_they_were_seen():
    table = ClientTable(100)
    for number, times in enumerate([1, 3, 2, 5], start=1):
        for _ in range(times):
            table.visit(address(number), MonoNs(10 * number))
    assert {record.hits for record in ask(Question(min_hits=3), table)} == {3, 5}
    assert {record.last_seen for record in ask(Question(seen_from=20, seen_until=30), table)} == {20, 30}


def test_whoever_would_be_refused_now_is_marked_and_can_be_chosen():
    table, limit = ClientTable(100), RateLimit(POLICY.packets_per_second, POLICY.burst_size)
    for number, requests in enumerate([1, 2, 3], start=1):
        place = table.visit(address(number), NOW)
        for _ in range(requests):
            due = limit.admit(table.due[place], NOW)
            table.due[place] = table.due[place] if due is None else due
    refused = [address(2), address(3)]  # whose burst of two is spent
    assert sorted(record.address for record in ask(Question(), table) if record.rate_limited) == refused
    assert sorted(record.address for record in ask(Question(rate_limited=True), table)) == refused
    assert [record.address for record in ask(Question(rate_limited=False), table)] == [address(1)]
    without = ServerPolicy(rate_limit=False)
    assert not any(record.rate_limited for record in ask(Question(), table, policy=without))


def test_since_when_a_client_is_known_stays():
    table = ClientTable(10)
    for now in (5, 7, 9):
        table.visit(address(1), MonoNs(now))
    assert [(record.first_seen, record.last_seen, record.hits) for record in ask(Question(), table)] == [(5, 9, 3)]


def test_a_row_that_is_being_written_is_left_out():
    table = ClientTable(10)
    table.visit(address(1), MonoNs(5))
    place = table.visit(address(2), MonoNs(6))
    table.columns["address_low"][place] = 0
    assert [record.address for record in ask(Question(), table)] == [address(1)]


def test_of_a_great_many_alike_no_more_are_told_than_asked_for():
    table = ClientTable(100_000)
    numbers = np.arange(50_000, dtype=np.uint64)
    table.visit_many(None, numbers, MonoNs(1))
    assert len(ask(Question(Order.HITS, 5), table)) == 5
    assert len(ask(Question(), table)) == 10_000


def test_merged_tables_know_each_client_once_with_all_that_each_knew():
    tables = ClientTable(10), ClientTable(10)
    tables[0].visit(address(1), MonoNs(5))
    tables[0].visit(address(2), MonoNs(6))
    for now in (3, 9):
        tables[1].visit(address(1), MonoNs(now))
    told = [
        (each.address, each.hits, each.first_seen, each.last_seen) for each in ask(Question(), merge_clients(tables))
    ]
    assert told == [(address(1), 3, 3, 9), (address(2), 1, 6, 6)]


def test_tables_of_nobody_are_merged_too():
    assert ask(Question(), merge_clients([ClientTable(10), ClientTable(20)])) == []
