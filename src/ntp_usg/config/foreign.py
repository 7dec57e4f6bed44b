"""What people write that is no TOML, and what to write instead: other daemons' files, texts without quotes."""

import json
import re

_DIRECTIVES = (
    "server|pool|peer|broadcast|driftfile|restrict|fudge|tinker|tos|statsdir|keys|keyfile|logdir|leapfile|leapsectz"
    "|refclock|makestep|rtcsync|allow|deny|local|maxupdateskew|hwtimestamp|bindaddress|cmdallow|interface|disable|enable"
)
_DIRECTIVE = re.compile(rf"^[ \t]*(?P<word>{_DIRECTIVES})(?:[ \t]+(?P<value>[^\s=#]+)[^=\n]*)?$", re.MULTILINE)
_BARE_TEXT = re.compile(r"^\s*(?P<key>[\w.-]+)\s*=\s*(?P<text>[/A-Za-z][^\s\"'#,\]}]*)\s*(?:#.*)?$")


def foreign_format(text: str) -> str:
    """What to do with a file of ntpd or chronyd; empty for any other text."""
    found = list(_DIRECTIVE.finditer(text))
    if not found:
        return ""
    server = next((each["value"] for each in found if each["word"] in {"server", "pool"} and each["value"]), None)
    example = json.dumps(server or "ntp.example.net")
    return (
        f"this looks like an ntp.conf or chrony.conf (`{found[0][0].strip()[:60]}`), but ntp_usg_server reads TOML: "
        f"write each server to ask as a line [[source]] and a line address = {example}, "
        "a receiver as a table like [gps]; docs/reference/configuration.md has all keys, with ntpd's and chrony's names"
    )


def missing_quotes(text: str, line: int) -> str:
    """A hint for a line like `device = /dev/ttyAMA0`; empty for any other."""
    lines = text.splitlines()
    match = _BARE_TEXT.match(lines[line - 1]) if 0 < line <= len(lines) else None
    return f"; texts need quotes: {match['key']} = {json.dumps(match['text'])}" if match else ""
