"""How many packets ended in which verdict: a fixed array, so that a worker can keep it in shared memory."""

from array import array

from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict

_VERDICTS = [Verdict(outcome, reason) for outcome in Outcome for reason in Reason]
_INDEX = {verdict: index for index, verdict in enumerate(_VERDICTS)}
_CLIENTS = len(_VERDICTS)

WORDS = _CLIENTS + 1
"""Unsigned 64-bit words that the counters take: one a verdict, and the number of clients."""


class VerdictCounters:
    """One writer counts; readers may look at any time, for an aligned word is never half written."""

    def __init__(self, words: "array[int] | memoryview[int] | None" = None) -> None:
        self._words = array("Q", bytes(8 * WORDS)) if words is None else words

    def count(self, verdict: Verdict, number: int = 1) -> None:
        self._words[_INDEX[verdict]] += number

    @property
    def clients(self) -> int:
        """How many clients the responder remembers."""
        return self._words[_CLIENTS]

    @clients.setter
    def clients(self, number: int) -> None:
        self._words[_CLIENTS] = number

    def as_dict(self) -> dict[str, int]:
        """Packets by `outcome/reason`, of the verdicts that occurred; the sum is all that came in."""
        return {
            f"{verdict.outcome}/{verdict.reason}": number
            for verdict, number in zip(_VERDICTS, self._words, strict=False)
            if number
        }
