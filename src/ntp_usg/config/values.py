"""Values that TOML has no type for: durations, addresses to listen on, networks."""

import json
import math
import re
from collections import Counter
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from ntp_usg.core.base.addresses import (
    ListenAddress,
    is_interface_name,
    numeric_address,
    parse_endpoint,
    parse_listen_address,
    parse_server_address,
)
from ntp_usg.core.base.durations import parse_interval
from ntp_usg.core.server.access import parse_network

METRICS_PORT = 8080


_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def toml_scalar(value: object) -> str:
    """A value as it is written in TOML, with nothing in it that could disturb a terminal or a log."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in text)
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown(value: object) -> str:
    """A value in a message, as it would be written in TOML, but never a long one."""
    if isinstance(value, dict | list | tuple):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number that is far too large"
    text = toml_scalar(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds or a text like `250us`, `10ms`, `5s`; ValueError otherwise."""
    seconds = math.nan
    if isinstance(value, str) and (interval := parse_interval(value)) is not None:
        seconds = interval
    elif isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 1e12:
        seconds = float(value)
    if not 0 < seconds < math.inf:
        raise ValueError('must be a duration above zero, like "250us", "10ms", "5s" or a number of seconds')
    return seconds


def listen_address(text: str) -> str:
    """The one spelling of an address or interface to answer on: `192.0.2.1:123`, `[2001:db8::1]:123`, `eth0:123`."""
    return str(parse_listen_address(text))


def interface_name(text: str) -> str:
    """A network interface such as `eth0`; whether there is one of that name is found out on use."""
    if not is_interface_name(text):
        raise ValueError(f"{shown(text)} is not a valid name of a network interface")
    return text


def server_address(text: str) -> str:
    """The one spelling of a server to ask: `ntp.example.net`, `192.0.2.1:1123`, `[2001:db8::1]:1123`."""
    return str(parse_server_address(text))


def web_address(text: str) -> str:
    """The one spelling of an address for HTTP; host names are refused, because what they mean may change."""
    host, port = parse_endpoint(text, METRICS_PORT)
    if (address := numeric_address(host)) is None:
        raise ValueError(f'"{host}" is not an IP address; write one like "127.0.0.1:8080" or "[::1]:8080"')
    return str(ListenAddress(address, None, port))


def host_name(text: str) -> str:
    """A name that a browser may use for this machine, as `ntp1.example.org`: no address, port or wildcard."""
    name = text.lower().rstrip(".")
    if len(name) > 253 or not _HOST_NAME.fullmatch(name) or numeric_address(name):
        raise ValueError(f'{shown(text)} is not a host name; write one like "ntp1.example.org", without a port')
    return name


def network(text: str) -> str:
    """A network in its one spelling; a single address is a network too."""
    try:
        return str(parse_network(text))
    except ValueError as error:
        raise ValueError(f"{error}{_network_meant(text)}") from error


def _network_meant(text: str) -> str:
    try:
        return f"; {shown(text)} lies in {ip_network(text, strict=False)}" if "/" in text else ""
    except ValueError:
        return ""


def _list_as_tuple(value: Any) -> Any:  # noqa: ANN401 - input of any type, as pydantic hands it over
    return tuple(value) if isinstance(value, list) else value


def _one_or_several(value: Any) -> Any:  # noqa: ANN401 - input of any type, as pydantic hands it over
    return (value,) if isinstance(value, str) else _list_as_tuple(value)


def _distinct(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not addresses:
        raise ValueError("must name at least one address")
    return _each_once(addresses)


def _each_once(texts: tuple[str, ...]) -> tuple[str, ...]:
    if twice := [text for text, count in Counter(texts).items() if count > 1]:
        raise ValueError(f"{shown(twice[0])} is there twice")
    return texts


def _printable(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(f"must be a text, neither empty nor with control characters, not {shown(text)}")
    return text


def _path_or_none(text: str) -> str:
    if text and not text.isprintable():
        raise ValueError(f"must be a path without control characters, or empty for none, not {shown(text)}")
    return text


Seconds = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema({"type": "number", "format": "duration"})]
"""A duration; in files a text with a unit or a number of seconds."""

ListenAddresses = Annotated[
    tuple[Annotated[str, AfterValidator(listen_address)], ...],
    AfterValidator(_distinct),
    BeforeValidator(_one_or_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One text or a list of them."""

InterfaceNames = Annotated[
    tuple[Annotated[str, AfterValidator(interface_name)], ...],
    AfterValidator(_each_once),
    BeforeValidator(_one_or_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One text or a list of them."""

HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(host_name)], ...],
    AfterValidator(_each_once),
    BeforeValidator(_one_or_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One text or a list of them."""

ServerAddressText = Annotated[str, AfterValidator(server_address)]
WebAddress = Annotated[str, AfterValidator(web_address)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(network)], ...], BeforeValidator(_list_as_tuple)]
Text = Annotated[str, AfterValidator(_printable)]
"""Goes to the kernel as a name or path, where a control character is always an accident."""
OptionalPath = Annotated[str, AfterValidator(_path_or_none)]
"""A file; an empty text stands for none."""
