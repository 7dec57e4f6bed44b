"""A site survey: the mean of many fixes, which goes on where it was after a restart."""

import json
from dataclasses import asdict, dataclass

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.samples import Position

USUAL_FIXES = 10_000
"""Of a receiver's own survey; a bit less than three hours."""

_WILD_METRES = 300.0
_SETTLED = 60
_LONGEST_STATE = 1000


@dataclass(frozen=True, slots=True)
class Survey:
    """The running mean of `count` positions."""

    count: int = 0
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0
    height_m: float = 0.0
    strangers: int = 0
    """Fixes far from the mean, in a row: many of them show that the antenna was carried away."""

    @property
    def position(self) -> Position:
        return Position(self.latitude_deg, self.longitude_deg, self.height_m)

    def add(self, fix: Position) -> "Survey":
        """With one position more; a wild one is left out, and if they all are the survey starts again."""
        if self.count >= _SETTLED and fix.distance_m(self.position) > _WILD_METRES:
            if self.strangers < _SETTLED:
                return Survey(self.count, self.latitude_deg, self.longitude_deg, self.height_m, self.strangers + 1)
            return Survey().add(fix)
        if not self.count:
            return Survey(1, fix.latitude_deg, fix.longitude_deg, fix.height_m)
        weight = 1 / (self.count + 1)
        eastward = (fix.longitude_deg - self.longitude_deg + 180) % 360 - 180
        return Survey(
            self.count + 1,
            self.latitude_deg + (fix.latitude_deg - self.latitude_deg) * weight,
            (self.longitude_deg + eastward * weight + 180) % 360 - 180,
            self.height_m + (fix.height_m - self.height_m) * weight,
        )


def build_survey(survey: Survey) -> bytes:
    """As it is kept in a file."""
    return json.dumps(asdict(survey), indent=1).encode("ascii") + b"\n"


def parse_survey(data: bytes) -> Survey:
    """Raises WireError for anything that is no survey."""
    try:
        fields = json.loads(data) if len(data) <= _LONGEST_STATE else None
        survey = Survey(**fields) if isinstance(fields, dict) else None
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError("no survey") from error
    if survey is None or not _is_plausible(survey):
        raise WireError("no survey")
    return survey


def _is_plausible(survey: Survey) -> bool:
    counts = (survey.count, survey.strangers)
    place = (survey.latitude_deg, survey.longitude_deg, survey.height_m)
    if any(type(count) is not int for count in counts) or any(type(value) not in {int, float} for value in place):
        return False
    return (  # what is no number fails each comparison
        0 <= survey.count <= 10**9
        and 0 <= survey.strangers <= _SETTLED
        and abs(survey.latitude_deg) <= 90
        and abs(survey.longitude_deg) <= 180
        and abs(survey.height_m) <= 1e5
    )
