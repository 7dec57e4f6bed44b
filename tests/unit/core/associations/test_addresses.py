from ntp_usg.core.associations.addresses import (
    FIRST_REST_NS,
    LONGEST_REST_NS,
    LOOKUP_SPACING_NS,
    MAX_ADDRESSES,
    AddressBook,
)
from ntp_usg.core.base.instants import MonoNs

START = MonoNs(10**12)


def book(*addresses: str) -> AddressBook[str]:
    made: AddressBook[str] = AddressBook()
    assert made.wants_lookup(START)
    made.found(addresses)
    return made


def after(interval_ns: int) -> MonoNs:
    return MonoNs(START + interval_ns)


def test_addresses_are_asked_in_the_order_of_the_look_up_and_one_that_serves_is_kept() -> None:
    addresses = book("a", "b")
    assert addresses.choose(START) == addresses.choose(after(10**15)) == addresses.current == "a"


def test_each_address_has_its_turn_before_one_that_failed_is_asked_again() -> None:
    addresses = book("a", "b", "c")
    asked = []
    for _ in range(5):
        asked.append(addresses.choose(START))
        addresses.leave(START)
    assert asked == ["a", "b", "c", "a", "b"]


def test_the_name_is_looked_up_when_every_address_failed_and_not_again_at_once() -> None:
    addresses = book("a", "b")
    for _ in range(2):
        addresses.choose(START)
        assert not addresses.wants_lookup(after(LOOKUP_SPACING_NS))
        addresses.leave(START)
    assert addresses.wants_lookup(after(LOOKUP_SPACING_NS))
    assert not addresses.wants_lookup(after(2 * LOOKUP_SPACING_NS - 1))
    assert addresses.wants_lookup(after(2 * LOOKUP_SPACING_NS))


def test_a_new_address_goes_before_those_that_failed() -> None:
    addresses = book("a")
    addresses.choose(START)
    addresses.leave(START)
    addresses.found(["a", "b"])
    assert addresses.choose(START) == "b"


def test_an_address_that_the_name_has_no_more_is_forgotten() -> None:
    addresses = book("a", "b")
    addresses.found(["b"])
    assert addresses.choose(START) == "b"


def rest_after_failure(addresses: AddressBook[str], now: MonoNs) -> int:
    """How long the only address rests when it fails now: until then each look-up that is not too early is wanted."""
    addresses.choose(now)
    addresses.leave(now)
    rests = (FIRST_REST_NS << doublings for doublings in range(9))
    return next(each for each in rests if not addresses.wants_lookup(MonoNs(now + each)))


def test_the_rest_doubles_up_to_a_limit_and_good_service_makes_it_short_again() -> None:
    addresses, now, rests = book("a"), after(10**12), []
    for _ in range(8):
        rests.append(rest_after_failure(addresses, now))
        now = MonoNs(now + rests[-1])
    assert rests == [min(FIRST_REST_NS << doublings, LONGEST_REST_NS) for doublings in range(8)]
    addresses.choose(now)
    assert rest_after_failure(addresses, MonoNs(now + LONGEST_REST_NS + 1)) == FIRST_REST_NS


def test_an_address_that_refused_is_never_asked_again_even_if_it_is_found_again() -> None:
    addresses = book("a", "b")
    addresses.choose(START)
    assert addresses.leave(START, for_ever=True), "people should hear of it"
    addresses.found(["a", "b"])
    assert addresses.choose(START) == "b"
    assert not addresses.refused
    addresses.leave(START, for_ever=True)
    addresses.found(["a", "b"])
    assert addresses.choose(START) is None
    assert addresses.refused


def test_people_hear_once_that_an_address_is_left_and_only_where_there_is_another() -> None:
    addresses, news = book("a", "b"), []
    for _ in range(6):
        addresses.choose(START)
        news.append(addresses.leave(START))
    assert news == [True, True, False, False, False, False]
    alone = book("a")
    alone.choose(START)
    assert not alone.leave(START)
    assert not alone.leave(START), "nothing is left twice"


def test_when_the_network_has_changed_all_but_refusals_is_forgotten() -> None:
    addresses = book("a", "b")
    addresses.choose(START)
    addresses.leave(START, for_ever=True)
    addresses.choose(START)
    addresses.leave(START)
    addresses.forgive()
    assert addresses.choose(START) == "b"
    addresses.leave(START)
    assert addresses.wants_lookup(START)


def test_a_name_with_hundreds_of_addresses_takes_no_more_memory_than_one_with_sixteen() -> None:
    addresses = book(*(f"{number}" for number in range(500)), "0")
    asked = set()
    for _ in range(100):
        asked.add(addresses.choose(START))
        addresses.leave(START)
    assert asked == {f"{number}" for number in range(MAX_ADDRESSES)}
