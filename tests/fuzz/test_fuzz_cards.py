"""A short run of the fuzzer of cards' and real-time clocks' replies, and a check that they come to every end."""

ENDS = {
    *(f"{way}, {end}" for way in ("plain", "extended", "precise") for end in ("used", "stale", "implausible")),
    *("edge, second", "edge, no second", "edge, far", "capabilities, read", "time, no reading"),
    *("interrupt, update True", "interrupt, update False"),
    *(f"{kind}, refused" for kind in ("plain", "extended", "precise", "edge", "capabilities", "time", "interrupt")),
}


def test_no_reply_raises_or_deceives(fuzz):
    ends = fuzz("cards", 20_000)
    assert not [end for end in ENDS if end not in ends]
