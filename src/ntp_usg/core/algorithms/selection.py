"""Which sources tell the truth, which of them lead, and with what weight (RFC 5905 section 11.2)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.intersection import Agreement, Interval, find_agreement
from ntp_usg.core.base.snapshots import Tally

MIN_CLUSTER = 3
"""RFC 5905 NMIN: so many survivors are kept, whatever their scatter."""
NANOSECOND_VARIANCE = 1e-18
"""Nobody knows the time better than this: it keeps weights finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A source as it stands for selection. Times in seconds."""

    name: str
    offset: float
    """True time minus served time."""
    distance: float
    """Root distance: half width of the interval that holds the truth, if the source is honest; all errors included."""
    deviation: float
    """Standard deviation of the offset: the source's precision."""
    jitter: float
    """Scatter of its samples."""
    stratum: int = 0
    reachable: bool = True
    prefer: bool = False
    trust: bool = False
    require: bool = False
    noselect: bool = False
    pulse: bool = False
    """Exact about when a second begins, silent about which."""
    numbered: bool = False
    """Of a pulse line: its seconds have numbers."""
    confirmed: bool = False
    """... which a healthy source has confirmed not long ago: it may be missing or confused for a while."""
    distrust: str = ""
    """Why it is not believed although it is heard, in words; empty where it is."""

    @property
    def interval(self) -> Interval:
        return Interval(self.offset - self.distance, self.offset + self.distance)

    @property
    def variance(self) -> float:
        """The truth lies anywhere in the interval with the same likelihood, and noise comes on top."""
        return self.distance**2 / 3 + self.deviation**2 + NANOSECOND_VARIANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """How picky selection is. Times in seconds."""

    min_sources: int = 1
    """So many sources must agree before any leads."""
    max_distance: float = 3.0
    combine_limit: float = 3.0
    """A source is combined if its distance is at most so many times that of the system peer."""
    reselect_distance: float = 1e-4
    reselect_ratio: float = 1.5
    """The system peer stays until another's distance is so many times smaller, and by `reselect_distance` on top."""
    stratum_weight: float = 1e-3
    """Distance that each stratum counts for, where sources are compared."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of one source, and why in words."""

    tally: Tally
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome. Without a system peer there are no weights, and `reason` says what is missing."""

    choices: Mapping[str, Choice]
    reason: str
    system_peer: str | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of the sources that are combined; they add up to 1."""
    offset: float = 0.0
    distance: float = math.inf
    """Of the combination: it holds the truth if the combined sources' intervals do."""
    majority: Interval | None = None
    """Holds the truth if more than half of the voters are honest, whoever leads."""


def select(candidates: Sequence[Candidate], previous: str | None, settings: SelectionSettings) -> Selection:
    """Judge all candidates (names must be unique); `previous` is the system peer so far, None before the first.

    The order of the candidates does not matter.
    """
    ordered = sorted(candidates, key=lambda each: each.name)
    objections = {each.name: _objection(each, ordered, settings) for each in ordered}
    selectable = [each for each in ordered if not objections[each.name]]
    voters = _voters(selectable)
    agreement = _break_tie(find_agreement([each.interval for each in voters]), voters, previous)
    truechimers = [each for each in selectable if _admits(agreement, each)]
    missing = _missing(ordered, selectable, truechimers, agreement, settings)
    choices = {name: Choice(Tally.REJECTED, text) for name, text in objections.items() if text}
    choices |= {each.name: _judgement(each, agreement, missing) for each in selectable}
    if missing:
        return Selection(choices, missing, majority=agreement.hull)
    return _lead(truechimers, agreement, choices, previous, settings)


def combine(estimates: Sequence[tuple[Estimate, float]]) -> Estimate:
    """The weighted mean of one or more estimates of the same instant (RFC 5905 section 11.2.3)."""
    total = sum(weight for _, weight in estimates)
    shares = [(estimate, weight / total) for estimate, weight in estimates]
    origin = shares[0][0].offset_ns  # integers hold decades in nanoseconds, floats do not
    mean_ns = math.fsum(share * (each.offset_ns - origin) for each, share in shares)
    spread = math.fsum(share * ((each.offset_ns - origin - mean_ns) * 1e-9) ** 2 for each, share in shares)
    return Estimate(
        offset_ns=origin + round(mean_ns),
        rate=math.fsum(share * each.rate for each, share in shares),
        deviation=math.sqrt(math.fsum((share * each.deviation) ** 2 for each, share in shares)),
        jitter=math.sqrt(math.fsum(share * each.jitter**2 for each, share in shares) + spread),
        rate_deviation=math.sqrt(math.fsum((share * each.rate_deviation) ** 2 for each, share in shares)),
    )


def _objection(candidate: Candidate, others: Sequence[Candidate], settings: SelectionSettings) -> str:
    """Why a candidate has no part in the vote; empty if it has."""
    if candidate.noselect:
        return "Marked noselect: it is watched, never followed."
    if candidate.distrust:
        return candidate.distrust
    if not candidate.reachable:
        return "Not reachable: nothing usable has come from it lately."
    if not math.isfinite(candidate.offset + candidate.deviation + candidate.jitter):
        return "Its measurements make no estimate yet."
    if not 0 <= candidate.distance <= settings.max_distance:  # a distance that is no number fails here, too
        return f"Its distance of {_words(candidate.distance)} is beyond max_distance ({settings.max_distance:g} s)."
    return _objection_to_pulses(candidate, others) if candidate.pulse else ""


def _objection_to_pulses(line: Candidate, others: Sequence[Candidate]) -> str:
    """A source need not be selectable to number pulses: a serial message is often good for nothing else."""
    if not line.numbered:
        return "Its pulses have no numbers: they say when a second begins, not which."
    sources = [each for each in others if each.reachable and not each.pulse and not each.distrust]
    if line.confirmed or any(each.interval.meets(line.interval) for each in sources):
        return ""
    return "No healthy source confirms its seconds: its interval does not meet the interval of any of them."


def _voters(selectable: Sequence[Candidate]) -> Sequence[Candidate]:
    """The trusted alone, where there are any. A pulse line is not outvoted by as few as number it."""
    voters = [each for each in selectable if each.trust] or selectable
    pulses = [each for each in voters if each.pulse]
    return pulses if len(pulses) * 2 >= len(voters) else voters


def _break_tie(agreement: Agreement, voters: Sequence[Candidate], previous: str | None) -> Agreement:
    """Between groups of the same size a pulse line decides, then the clock, if it was right so far.

    Otherwise the tie stands, and only those lead that agree with every group: there always is one, as any two
    majorities share a voter.
    """
    regions = agreement.regions
    if len(regions) > 1:
        marked = [region for region in regions if any(each.pulse and each.interval.meets(region) for each in voters)]
        regions = tuple(marked) or regions
    if len(regions) > 1 and previous is not None:
        regions = (min(regions, key=lambda region: max(region.low, -region.high)),)
    return replace(agreement, regions=regions)


def _admits(agreement: Agreement, candidate: Candidate) -> bool:
    return bool(agreement.regions) and all(candidate.interval.meets(region) for region in agreement.regions)


def _missing(
    candidates: Sequence[Candidate],
    selectable: Sequence[Candidate],
    truechimers: Sequence[Candidate],
    agreement: Agreement,
    settings: SelectionSettings,
) -> str:
    """What keeps anyone from leading; empty if nothing does."""
    if not selectable:
        return f"None of {len(candidates)} sources is selectable."
    if not agreement.regions:
        return f"{agreement.votes} of {agreement.voters} sources agree, a majority needs {agreement.needed}."
    if len(truechimers) < settings.min_sources:
        return f"{len(truechimers)} sources agree, min_sources asks for {settings.min_sources}."
    if any(each.require for each in candidates) and not any(each.require for each in truechimers):
        names = ", ".join(each.name for each in candidates if each.require)
        return f"No required source ({names}) is among those that agree."
    return ""


def _judgement(candidate: Candidate, agreement: Agreement, missing: str) -> Choice:
    """What the vote makes of a candidate; of a truechimer only as long as nobody leads."""
    own = _interval_words(candidate.interval)
    opposed = next((each for each in agreement.regions if not candidate.interval.meets(each)), None)
    if opposed is None:
        return Choice(Tally.REJECTED, f"{own}, but nobody leads: {missing}")
    whose = "the majority's" if len(agreement.regions) == 1 else "one of several equal groups'"
    support = f"{_interval_words(opposed)} ({agreement.votes} of {agreement.voters} sources)"
    return Choice(Tally.FALSETICKER, f"Its interval {own} does not meet {whose} {support}.")


def _lead(
    truechimers: Sequence[Candidate],
    agreement: Agreement,
    choices: dict[str, Choice],
    previous: str | None,
    settings: SelectionSettings,
) -> Selection:
    """From those that tell the truth to those that the clock follows; each step notes in `choices` whom it leaves."""
    leaders = _leaders(truechimers)
    survivors = _cluster(_inside(leaders, agreement, choices), choices)
    peer = _system_peer(survivors, previous, settings)
    combined = _combinable(survivors, peer, settings, choices)
    followers = [each for each in truechimers if each not in leaders]
    choices |= {each.name: _follower(each, peer) for each in followers}
    if peer.pulse:
        choices |= _numbering(followers, peer, settings)
    return _selection(combined, peer, agreement, choices)


def _leaders(truechimers: Sequence[Candidate]) -> Sequence[Candidate]:
    """Pulse lines before preferred sources before the others; preferred pulse lines before other ones."""
    pulses = [each for each in truechimers if each.pulse] or truechimers
    return [each for each in pulses if each.prefer] or pulses


def _inside(leaders: Sequence[Candidate], agreement: Agreement, choices: dict[str, Choice]) -> Sequence[Candidate]:
    """Without those whose offset cannot be the truth; but someone must stay."""
    region = Interval(agreement.regions[0].low, agreement.regions[-1].high)
    inside = [each for each in leaders if region.low <= each.offset <= region.high]
    if not inside:
        return leaders
    for each in leaders:
        if each not in inside:
            text = f"Its offset {_words(each.offset, sign='+')} is outside the majority's {_interval_words(region)}."
            choices[each.name] = Choice(Tally.OUTLIER, text)
    return inside


def _cluster(survivors: Sequence[Candidate], choices: dict[str, Choice]) -> Sequence[Candidate]:
    """RFC 5905 section 11.2.2: drop who strays from the rest by more than the noise of the quietest."""
    survivors = list(survivors)
    while len(survivors) > MIN_CLUSTER:
        count = len(survivors)
        mean = math.fsum(each.offset for each in survivors) / count
        total = math.fsum((each.offset - mean) ** 2 for each in survivors)
        # Mean square of the differences to all others, without comparing all with all.
        scatter = {
            each.name: math.sqrt((count * (each.offset - mean) ** 2 + total) / (count - 1)) for each in survivors
        }
        worst = max(survivors, key=lambda each: scatter[each.name] * each.distance)
        noise = min(each.jitter for each in survivors)
        if scatter[worst.name] <= noise:
            break
        survivors.remove(worst)
        stray, quietest = _words(scatter[worst.name]), _words(noise)
        text = f"Its offset is {stray} from the others, and the quietest of them has {quietest} of noise."
        choices[worst.name] = Choice(Tally.OUTLIER, text)
    return survivors


def _follower(candidate: Candidate, peer: Candidate) -> Choice:
    why = "a pulse line" if peer.pulse else "preferred"
    return Choice(Tally.CANDIDATE, f"Agrees: {_interval_words(candidate.interval)}; {peer.name} leads as {why}.")


def _score(candidate: Candidate, settings: SelectionSettings) -> float:
    """The smaller, the better a system peer; in seconds."""
    return candidate.distance + settings.stratum_weight * candidate.stratum


def _system_peer(survivors: Sequence[Candidate], previous: str | None, settings: SelectionSettings) -> Candidate:
    """The best survivor; but the one so far stays while it is about as good, so that clients see no hopping."""
    best = min(survivors, key=lambda each: _score(each, settings))
    incumbent = next((each for each in survivors if each.name == previous), best)
    limit = _score(best, settings) * settings.reselect_ratio + settings.reselect_distance
    return incumbent if _score(incumbent, settings) <= limit else best


def _numbering(followers: Sequence[Candidate], peer: Candidate, settings: SelectionSettings) -> dict[str, Choice]:
    """Beside a pulse line, ntpq's eyes look for the peer that names its seconds."""
    sources = [each for each in followers if not each.pulse]
    best = sorted(sources, key=lambda each: (not each.prefer, _score(each, settings)))[:1]
    return {each.name: Choice(Tally.SELECTED, f"Agrees, and numbers the seconds of {peer.name}.") for each in best}


def _combinable(
    survivors: Sequence[Candidate], peer: Candidate, settings: SelectionSettings, choices: dict[str, Choice]
) -> Sequence[Candidate]:
    """Without those whose distance is so large that they would add more doubt than knowledge."""
    limit = settings.combine_limit * (peer.distance + settings.reselect_distance)
    combined = [each for each in survivors if each.distance <= limit or each is peer]
    for each in survivors:
        if each not in combined:
            text = f"Agrees, but its distance {_words(each.distance)} is beyond the {_words(limit)} worth combining."
            choices[each.name] = Choice(Tally.OUTLIER, text)
    return combined


def _selection(
    combined: Sequence[Candidate], peer: Candidate, agreement: Agreement, choices: dict[str, Choice]
) -> Selection:
    total = math.fsum(1 / each.variance for each in combined)
    weights = {each.name: 1 / each.variance / total for each in combined}
    tallies = {peer.name: Tally.PPS if peer.pulse else Tally.SELECTED}
    for each in combined:
        role = "Leads" if each is peer else "Combined"
        text = f"{role}: {_interval_words(each.interval)}, weight {weights[each.name]:.0%}."
        choices[each.name] = Choice(tallies.get(each.name, Tally.CANDIDATE), text)
    return Selection(
        choices,
        reason=f"{peer.name} leads: {agreement.votes} of {agreement.voters} sources agree.",
        system_peer=peer.name,
        weights=weights,
        offset=math.fsum(weights[each.name] * each.offset for each in combined),
        distance=math.fsum(weights[each.name] * each.distance for each in combined),
        majority=agreement.hull,
    )


def _interval_words(interval: Interval) -> str:
    return f"{_words(interval.middle, sign='+')} +- {_words(interval.half_width)}"


def _words(interval: float, sign: str = "") -> str:
    """Seconds as people say them: `+1.25 ms`; with `sign` "+", positive numbers say so."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(interval) >= scale:
            return f"{interval / scale:{sign}.3g} {unit}"
    return f"{interval * 1e9:{sign}.3g} ns"
