"""Arguments that several benches take, refused with one line where they are wrong."""

import argparse
import re


def count(text: str) -> int:
    """How many: a whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression for names, in which case does not matter."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
