import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.server.clients import ClientTable


def address(number: int) -> bytes:
    return number.to_bytes(4, "big")


def test_a_client_keeps_its_record() -> None:
    table = ClientTable(10)
    first = table.visit(address(1), MonoNs(100))
    assert table.visit(address(1), MonoNs(200)) is first
    assert (first.hits, first.last_seen) == (2, 200)


def test_the_table_never_grows_beyond_its_bound() -> None:
    table = ClientTable(3)
    for number in range(1000):
        table.visit(address(number), MonoNs(number))
    assert len(table) == 3


def test_the_client_that_was_silent_longest_is_forgotten() -> None:
    table = ClientTable(2)
    first, second = table.visit(address(1), MonoNs(1)), table.visit(address(2), MonoNs(2))
    table.visit(address(1), MonoNs(3))
    table.visit(address(3), MonoNs(4))
    assert table.visit(address(1), MonoNs(5)) is first
    assert table.visit(address(2), MonoNs(6)) is not second


def test_a_smaller_table_keeps_the_recent_clients() -> None:
    table = ClientTable(10)
    records = [table.visit(address(number), MonoNs(number)) for number in range(10)]
    table.resize(3)
    assert len(table) == 3
    assert [table.visit(address(number), MonoNs(20)) for number in (7, 8, 9)] == records[7:]


def test_a_larger_table_keeps_everybody() -> None:
    table = ClientTable(2)
    records = [table.visit(address(number), MonoNs(number)) for number in range(2)]
    table.resize(3)
    table.visit(address(2), MonoNs(2))
    assert [table.visit(address(number), MonoNs(3)) for number in range(2)] == records


def test_a_table_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="max_clients is 0"):
        ClientTable(0)
