"""Text from outside, made fit to be shown: receivers, other programs and drivers may send anything."""

LONGEST_TEXT = 500


def shown(text: str, longest: int = LONGEST_TEXT) -> str:
    """The same on one line and of bounded length, with what steers a terminal written out as its code."""
    if len(text) > longest:
        text = text[:longest] + "..."
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
