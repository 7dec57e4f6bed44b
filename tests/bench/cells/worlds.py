"""Worlds drawn at random: servers, most of them honest, queues of every kind, and all that happens to clocks.

At any time most of the servers that answer tell the truth, within what they say of themselves: no error bound can hold
where a majority lies. A lie is larger than what the queues towards the honest could hide: where the intervals of all
overlap nobody can tell who lies. Frequencies are changed only where a server is heard afterwards: what holdover says
covers what the crystal was seen to do, weather and wander, and nothing that begins while nobody is heard. How much
longer one way is than the other nobody can see, but the root delay holds it.
"""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

Table = dict[str, Any]
HOUR = 3600.0
NAMES = "abcde"


def draw(seed: int) -> Table:
    """A scenario of one client, as `ntp_usg simulate` takes it, and a title that says what there is in it."""
    random = Random(f"world {seed}")
    count = random.choice((1, 1, 1, 1, 2, 3, 3, 4, 5))
    names, liars = NAMES[:count], NAMES[: random.randint(0, (count - 1) // 2)]
    duration = random.choice((600.0, 6 * HOUR, 20 * HOUR, 20 * HOUR, 48 * HOUR))
    links = [_link(random, name) for name in names]
    servers = [_server(random, name) for name in names]
    hidden = max(map(_width, links)) + max(float(server["root_dispersion"]) for server in servers)
    happenings = [_lie(random, name, hidden, duration) for name in liars]
    happenings += _happenings(random, names, len(liars), duration)
    happenings = list(_seen(happenings, count))
    world: Table = {
        "title": "",
        "seed": seed,
        "duration": duration,
        "probe": duration / PROBES,
        "knots": 1.0 if duration < HOUR else 16.0,
        "server": servers,
        "host": [{"name": "client", "oscillator": _crystal(random), "source": _sources(random, names)}],
        "link": links,
        "event": sorted(happenings, key=lambda event: float(event["at"])),
    }
    return world | {"title": _describe(world, len(liars))}


PROBES = 5100
"""In each world: 10^6 in 200, also where some sleep for hours."""
LONGEST_POLL = 1024.0


def _logarithmic(random: Random, least: float, most: float) -> float:
    """Evenly over the orders of magnitude, three digits."""
    return float(f"{math.exp(random.uniform(math.log(least), math.log(most))):.3g}")


def _crystal(random: Random) -> Table:
    crystal: Table = {
        "offset": random.choice((0.0, _logarithmic(random, 1e-4, 10.0))),
        "frequency_ppm": round(random.gauss(0, 30), 3),
        "wander_ppb": _logarithmic(random, 0.1, 30),
    }
    if random.random() < 0.3:  # a computer in a room, instead of clknetsim's random walk
        crystal["wander_ppb"] = 0.03
        crystal["flicker_ppb"] = _logarithmic(random, 0.3, 5)
        crystal["slope_ppb"] = round(random.uniform(-100, 100), 1)
        crystal["temperature_swing"] = round(random.uniform(0, 5), 1)
        crystal["temperature_noise"] = round(random.uniform(0, 1), 2)
        crystal["temperature_noise_time"] = _logarithmic(random, 300, 3 * HOUR)
    return crystal


def _sources(random: Random, names: str) -> list[Table]:
    polls: Table = {}
    if random.random() < 0.5:
        least = random.randint(4, 8)
        polls = {"min_poll": least, "max_poll": random.choice((least, 10))}
    return [{"name": name, "iburst": random.random() < 0.8} | polls for name in names]


def _server(random: Random, name: str) -> Table:
    """An honest one: it is wrong by less than it says."""
    dispersion = random.choice((1e-6, _logarithmic(random, 1e-5, 1e-2)))
    oscillator = {"offset": round(random.uniform(-0.9, 0.9) * dispersion, 9)}
    return {"name": name, "stratum": random.randint(1, 4), "root_dispersion": dispersion, "oscillator": oscillator}


def _width(link: Table) -> float:
    """How far the time of a server behind a link may seem to be off, but for very rare queues; seconds."""
    return float(
        link["delay"] + 10 * max(link["jitter"], link.get("jitter_back", 0.0)) + 10 * link.get("burst_delay", 0.0)
    )


def _link(random: Random, name: str) -> Table:
    delay = _logarithmic(random, 50e-6, 50e-3)
    link: Table = {
        "between": ["client", name],
        "delay": delay,
        "jitter": _logarithmic(random, 5e-6, 20e-3),
        "distribution": random.choice(("exponential", "exponential", "exponential", "gamma", "uniform", "normal")),
        "asymmetry": round(random.choice((0.0, 0.0, random.uniform(-1.8, 1.8))) * delay, 9),
    }
    sided = random.random()
    if sided < 0.2:
        link["jitter_back"] = 0.0
    elif sided < 0.4:
        link["jitter_back"] = float(f"{link['jitter'] * random.uniform(0.05, 1):.3g}")
    elif sided < 0.5:
        link["jitter_back"], link["jitter"] = link["jitter"], 0.0
    if random.random() < 0.2:
        link["loss"] = round(random.uniform(0.01, 0.4), 2)
    if random.random() < 0.2:
        link["burst_interval"] = _logarithmic(random, 60, 2 * HOUR)
        link["burst_time"] = _logarithmic(random, 5, HOUR)
        link["burst_delay"] = _logarithmic(random, 1e-3, 0.1)
    return link


def _when(random: Random, duration: float, longest: float) -> Table:
    """At any time, for a while or for good."""
    at, lasts = round(random.uniform(0, duration), 1), _logarithmic(random, 10, longest)
    return {"at": at} | ({"for": lasts} if random.random() < 0.7 else {})


def _lie(random: Random, name: str, hidden: float, duration: float) -> Table:
    """From the start on, or from some time on."""
    seconds = random.choice((-1, 1)) * float(f"{hidden * _logarithmic(random, 2, 100):.3g}")
    when = {"at": 0.0} if random.random() < 0.5 else _when(random, duration, 12 * HOUR)
    return {"what": "step", "clock": name, "seconds": seconds} | when


def _happenings(random: Random, names: str, liars: int, duration: float) -> list[Table]:
    """Of the crystal, the network and the machine."""
    happenings: list[Table] = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):  # warmth
        ppm = round(random.choice((-1, 1)) * random.choice((_logarithmic(random, 0.1, 10), random.uniform(1, 10))), 3)
        over = random.choice((0.0, 0.0, _logarithmic(random, 10, 4 * HOUR)))
        happenings.append(
            {"what": "frequency", "clock": "client", "ppm": ppm, "over": over} | _when(random, duration, 12 * HOUR)
        )
    for _ in range(random.choice((0, 0, 0, 1, 2))):  # another route, there or back again
        delay = _logarithmic(random, 1e-4, 20e-3)
        route = {"what": "route", "between": ["client", random.choice(names)], "delay": delay}
        happenings.append(route | _when(random, duration, 12 * HOUR))
    if random.random() < 0.4:  # offline; all at once, so that no liar is left alone
        when = {"at": round(random.uniform(0, duration), 1), "for": _logarithmic(random, 30, 12 * HOUR)}
        happenings += [{"what": "cut", "between": ["client", name]} | when for name in names]
    if not liars and random.random() < 0.3:
        happenings.append({"what": "cut", "between": ["client", names[-1]]} | _when(random, duration, 12 * HOUR))
    if random.random() < 0.08:
        seconds = random.choice((-1, 1)) * _logarithmic(random, 1e-3, 10.0)
        happenings.append(
            {"what": "step", "clock": "client", "seconds": seconds, "at": round(random.uniform(0, duration), 1)}
        )
    if random.random() < 0.08:
        sleep = {"what": "suspend", "host": "client", "for": _logarithmic(random, 10, 4 * HOUR)}
        clock_error = round(random.choice((0.0, random.gauss(0, 0.3))), 4)
        happenings.append(sleep | {"clock_error": clock_error, "at": round(random.uniform(0, duration), 1)})
    return happenings


def _seen(happenings: list[Table], servers: int) -> Iterator[Table]:
    """All but those changes of the client's frequency that no server could show before it falls silent."""
    silent = [_silence(each) for each in happenings if each["what"] == "suspend"]
    cuts = [_silence(each) for each in happenings if each["what"] == "cut"]
    silent += [cut for cut in cuts if cuts.count(cut) == servers]

    def unseen(at: float, over: float) -> bool:
        return any(at < end and at + over > begin for begin, end in silent)

    for happening in happenings:
        at, over, lasts = (float(happening.get(key, 0.0)) for key in ("at", "over", "for"))
        if happening["what"] != "frequency":
            yield happening
        elif not unseen(at, over):
            undone = not lasts or unseen(at + lasts, over)
            yield {key: value for key, value in happening.items() if key != "for" or not undone}


def _silence(happening: Table) -> tuple[float, float]:
    """From when to when nothing new is learned: two of the longest polls before it begins nobody may be heard again."""
    begin = float(happening["at"])
    return begin - 2 * LONGEST_POLL, begin + float(happening.get("for", math.inf))


def _describe(world: Table, liars: int) -> str:
    """`3 servers, 1 lies, jitter 3.2 ms one way, frequency, cut`: what is worth knowing when the bound breaks."""
    count = len(world["server"])
    parts = [f"{count} server{'s' if count > 1 else ''}"]
    if liars:
        parts.append(f"{liars} lie")
    if any(0.0 in (link["jitter"], link.get("jitter_back")) for link in world["link"]):
        parts.append("one-sided")
    if any(link["asymmetry"] for link in world["link"]):
        parts.append("asymmetry")
    parts += [key for key in ("loss", "burst_interval") if any(key in link for link in world["link"])]
    parts += sorted({event["what"] for event in world["event"]})
    return ", ".join(parts)


def write(world: Table) -> str:
    """The scenario as a file."""
    lines = [f"{key} = {_toml(value)}" for key, value in world.items() if not isinstance(value, list)]
    for key, tables in world.items():
        for table in tables if isinstance(tables, list) else ():
            lines += ["", f"[[{key}]]", *(f"{name} = {_toml(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
    return repr(value)
