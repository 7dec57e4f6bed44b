"""One verdict on the whole daemon, for load balancers, container probes and people in a hurry."""

from dataclasses import dataclass

from ntp_usg.core.base.instants import MonoNs, seconds
from ntp_usg.core.base.snapshots import SyncPhase, SystemSnapshot
from ntp_usg.observe.units import format_interval


@dataclass(frozen=True, slots=True)
class Health:
    """`ok`: clients get good time from here. `text` says why, or why not."""

    ok: bool
    text: str


def judge_health(snapshot: SystemSnapshot, now: MonoNs, complaint: str = "") -> Health:
    """`complaint`: why requests wait for an answer at this moment, if they do."""
    serving = snapshot.serving
    if now > serving.expires_at:
        silence = seconds(now - serving.as_of)
        return Health(ok=False, text=f"stalled: the engine has published nothing for {silence:.0f} s")
    if complaint:
        return Health(ok=False, text=f"not answering: {complaint}")
    if not serving.synchronised:
        return Health(ok=False, text=f"{snapshot.phase}: {_complaints(snapshot)}")
    bound = format_interval(serving.root_delay / 2 + serving.root_dispersion_at(now))
    promise = f"stratum {serving.stratum}, error below {bound}"
    if snapshot.phase is SyncPhase.HOLDOVER:
        age, left = snapshot.holdover_age or 0.0, snapshot.holdover_left or 0.0
        text = f"ok: in holdover for {age:.0f} s and for {left:.0f} s more, {promise}; {_complaints(snapshot)}"
        return Health(ok=True, text=text)
    if snapshot.reserve and not snapshot.selected:
        age = snapshot.holdover_age or 0.0
        text = f"ok: the clock runs by itself for {age:.0f} s, {snapshot.reserve} is in reserve, {promise}"
        return Health(ok=True, text=text)
    return Health(ok=True, text=f"ok: follows {snapshot.selected}, {promise}")


def _complaints(snapshot: SystemSnapshot) -> str:
    """Why each source does not help."""
    if not snapshot.sources:
        return "no source is configured"
    return "; ".join(f"{source.name}: {source.reason}" for source in snapshot.sources)
