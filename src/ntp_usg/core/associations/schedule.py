"""When a server is asked: quickly at the start, then at the poll interval, and never so often that it would mind."""

from collections import deque
from collections.abc import Callable

from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.instants import MonoNs, nanoseconds, seconds

BURST_LENGTH = 4
"""Requests in a burst."""
BURST_SPACING = 2.0
"""Seconds between the requests of a burst (RFC 5905 BTIME)."""
START_SHARE = 4
"""After a start the next request comes after one part in four of the time since the first answer: the longer samples
reach back, the better the frequency is known, and the longer the clock can be left alone."""
SPELL = 120.0
MOST_IN_A_SPELL = 24
"""At most so many requests in so many seconds are sent faster than the poll interval, whatever happens. A start needs
17, and stays within the rate limit of ntpd (about 8 at once and one more every 8 s)."""
FIRST_TRIES = 8
"""A server that has not answered yet is asked so often at the pace of a burst; then it gets its peace."""
PATIENCE = 12
"""After so many unanswered requests each further one doubles the interval (RFC 5905 UNREACH)."""
FIRST_DELAY_BITS = 27
"""The first request goes out after up to 2**27 ns (0.13 s): a fleet that is switched on does not ask in one moment."""
JITTER_BITS = 16
JITTER_SHARE = 32
"""Intervals are longer than asked for by up to one part in 32, so that clients do not fall into step."""
CONTENT_AFTER = 8
"""So many usable answers in a row undo one step of a server's complaint."""


class PollSchedule:
    """The poll process (RFC 5905 section 13) towards one server; `random_bits(n)` gives n random bits."""

    def __init__(self, settings: AssociationSettings, random_bits: Callable[[int], int], now: MonoNs) -> None:
        self.asked_at: MonoNs | None = None
        """When the latest request was due; None before the first, and when one is due out of turn."""
        self._settings = settings
        self._random_bits = random_bits
        self._first_at = MonoNs(now + random_bits(FIRST_DELAY_BITS))
        self._jitter = 0
        self._wanted_poll = self._slowed_to = settings.min_poll
        self._content = 0
        self._quick = FIRST_TRIES if settings.iburst else 0
        """So many requests come at the pace of a burst."""
        self._starting = settings.iburst
        """Whether the next answer begins a start ..."""
        self._started_at: MonoNs | None = None
        """... whose pace counts from here."""
        self._recent: deque[MonoNs] = deque(maxlen=MOST_IN_A_SPELL)
        self._unanswered = 0

    @property
    def poll(self) -> int:
        """The exponent in force: what was asked for, slowed down for a server that is silent or complains."""
        fastest = max(self._wanted_poll, self._slowed_to)
        return min(fastest + max(0, self._unanswered - PATIENCE), self._settings.max_poll)

    @property
    def slowed(self) -> bool:
        """Whether the server has complained, and has not been content for long enough since."""
        return self._slowed_to != self._settings.min_poll

    def set_poll(self, exponent: int) -> None:
        """Ask for another interval; kept within the settings' limits."""
        self._wanted_poll = max(self._settings.min_poll, min(exponent, self._settings.max_poll))

    def deadline(self, least: float) -> MonoNs:
        """When the next request is due; `least` is the shortest interval in seconds that the path allows now."""
        if self.asked_at is None:
            return self._first_at
        slowest = 2.0**self.poll
        at = self.asked_at + max(self._lengthened(self._pace(self.asked_at, slowest)), nanoseconds(least))
        if not self._settings.burst:
            at = max(at, min(self._allowed_at(), self.asked_at + self._lengthened(slowest)))
        return MonoNs(at)

    def ask(self, now: MonoNs, *, reachable: bool) -> None:
        """A request is sent now."""
        if self._quick:
            self._quick -= 1
        elif self._settings.burst and reachable:
            self._burst()
        self.asked_at = now
        self._recent.append(now)
        self._jitter = self._random_bits(JITTER_BITS)

    def left(self) -> None:
        """The request has left this machine, so that an answer may come."""
        self._unanswered += 1

    def answered(self, *, reachable: bool) -> None:
        """A usable answer came; `reachable` says whether any of the seven requests before had one."""
        if self._starting:
            self._starting, self._quick = False, 0
            self._started_at = None if self.slowed else self.asked_at
        elif not reachable and (self._settings.iburst or self._settings.burst):
            self._burst()
        self._unanswered = 0
        self._content += 1
        if self._content >= CONTENT_AFTER:
            self._content = 0
            self._slowed_to = max(self._slowed_to - 1, self._settings.min_poll)

    def complained(self) -> None:
        """The server asks for peace: ask less often, but come back to the old pace when it is content.

        Anybody who sends requests in our name can make a server complain: so max_poll bounds what a complaint does.
        """
        self._slowed_to = min(self.poll + 1, self._settings.max_poll)
        self._content = self._quick = 0
        self._started_at = None

    def refused(self) -> None:
        """The server will not be asked again; another address of its name need not wait."""
        self._content = 0
        self._quick = max(self._quick, 1)

    def moved(self) -> None:
        """The latest request went to another server."""
        self._slowed_to = self._settings.min_poll
        self._starting = self._settings.iburst

    @property
    def hurrying(self) -> bool:
        """Whether the next request comes earlier than at the poll interval."""
        slowest = 2.0**self.poll
        return self.asked_at is not None and self._pace(self.asked_at, slowest) < slowest

    def hurry(self, requests: int = BURST_LENGTH - 1) -> None:
        """Ask so often in quick succession: what the last answers said may be outdated."""
        self._unanswered = 0
        self._burst(requests)

    def start_again(self) -> None:
        """Ask as at the start: nothing is known any more."""
        self._starting = True
        self.hurry()

    def ask_at_once(self, now: MonoNs) -> None:
        """Begin again with the next request, out of turn."""
        assert self.asked_at is not None
        earliest = max(now, self.asked_at + nanoseconds(BURST_SPACING), self._allowed_at())
        self._first_at = MonoNs(earliest + self._random_bits(FIRST_DELAY_BITS))
        self.asked_at = None
        self._unanswered = 0

    def _pace(self, asked_at: MonoNs, slowest: float) -> float:
        """Seconds to the next request: less than `slowest`, the poll interval, in a burst and after a start."""
        if self._quick:
            return min(BURST_SPACING, slowest)
        if self._started_at is None:
            return slowest
        interval = max(BURST_SPACING, seconds(asked_at - self._started_at) / START_SHARE)
        return interval if interval < 2.0**self._settings.min_poll else slowest

    def _lengthened(self, interval: float) -> int:
        """Nanoseconds, by chance a little more than asked for."""
        exact = nanoseconds(interval)
        return exact + (exact * self._jitter // JITTER_SHARE >> JITTER_BITS)

    def _allowed_at(self) -> int:
        """When one more request makes no more than MOST_IN_A_SPELL in SPELL."""
        return self._recent[0] + nanoseconds(SPELL) if len(self._recent) == MOST_IN_A_SPELL else 0

    def _burst(self, requests: int = BURST_LENGTH - 1) -> None:
        if not self.slowed:
            self._quick = max(self._quick, requests)
