"""When a server that contradicts what it showed before is asked again at once, and how often at most."""

from ntp_usg.core.base.instants import MonoNs, seconds


class Alert:
    """Bursts in store: enough to learn a new frequency quickly, too few to trouble a server that never agrees."""

    STORE = 8
    REFILL = 1800.0
    """Seconds until one more burst is in store."""
    LASTS = 600.0
    """Seconds after a surprise in which an estimate that ages fast is a reason to ask, too."""

    def __init__(self, now: MonoNs) -> None:
        self._store = float(self.STORE)
        self._counted_at = now
        self._surprised = False
        self._surprised_at: MonoNs | None = None

    def calls(self, now: MonoNs, *, surprised: bool, ageing: bool) -> bool:
        """Whether to ask a few times in quick succession: at a first surprise, and until its cause is known well."""
        news, self._surprised = surprised and not self._surprised, surprised
        if surprised:
            self._surprised_at = now
        recent = self._surprised_at is not None and seconds(now - self._surprised_at) < self.LASTS
        return (news or (ageing and recent)) and self.spend(now)

    def spend(self, now: MonoNs, share: float = 1.0) -> bool:
        """Take a burst, or a share of one, out of the store, if there is so much."""
        self._store = min(self.STORE, self._store + seconds(now - self._counted_at) / self.REFILL)
        self._counted_at = now
        if self._store < share:
            return False
        self._store -= share
        return True
