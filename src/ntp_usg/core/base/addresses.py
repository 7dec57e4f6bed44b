"""What people write as an address, to listen on or to ask, read in one place for all who need it."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

NTP_PORT = 123

_HOST_AND_PORT = re.compile(r"(?:\[(?P<bracketed>[^\[\]]*)\]|(?P<plain>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")
_INTERFACE = re.compile(r"(?=.{1,15}\Z)(?=.*[A-Za-z])[A-Za-z0-9_-]+(?:\.[0-9]+)*")  # dots are for VLANs: eth0.100
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?=.*[A-Za-z])[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A numeric address, or every address of an interface where `host` is None."""

    host: str | None
    interface: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or self.interface or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server to ask; `host` is a name to look up or a numeric address without brackets."""

    host: str
    port: int = NTP_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.host if self.port == NTP_PORT else f"{host}:{self.port}"


def parse_server_address(text: str) -> ServerAddress:
    """Read `ntp.example.net`, `ntp.example.net:123`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]:123`.

    Raises ValueError for anything else: whether a host of that name exists is found out on asking.
    """
    try:
        host, port = parse_endpoint(text, NTP_PORT)
    except ValueError as error:
        raise ValueError('must be a server like "ntp.example.net", "192.0.2.1:123" or "[2001:db8::1]:123"') from error
    address = numeric_address(host)
    if address is not None and not _can_answer(address):
        raise ValueError(f"no server can have the address {address}: name the one of a single machine")
    if address is None and not _HOST_NAME.fullmatch(host):
        hint = ": write IPv6 with a port like [2001:db8::1]:123" if ":" in host else ""
        raise ValueError(f'"{host[:60]}" is neither a host name nor an IP address{hint}')
    if port == 0:
        raise ValueError("port 0 cannot be used: name a port from 1 to 65535")
    return ServerAddress(address or host.lower(), port)


def parse_listen_address(text: str) -> ListenAddress:
    """Read `0.0.0.0:123`, `[::]:123`, `::1`, `eth0:123` or `eth0`; the port is 123 where none is given.

    Raises ValueError for anything else: whether an interface of that name exists is found out on opening.
    """
    host, port = parse_endpoint(text, NTP_PORT)
    if address := numeric_address(host):
        return ListenAddress(address, None, port)
    if is_interface_name(host):
        return ListenAddress(None, host, port)
    raise ValueError(
        f'"{host}" is neither an IP address nor an interface name (host names are not looked up);'
        ' write it like "0.0.0.0:123", "[::]:123" or "eth0:123"'
    )


def is_interface_name(text: str) -> bool:
    """Whether a network interface can be called so: up to 15 letters, digits, dashes, and dots for VLANs."""
    return _INTERFACE.fullmatch(text) is not None


def parse_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Split `host:port`, `[IPv6]:port` or a bare host, which is printable then; ValueError where it is neither."""
    text = text.strip()
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"  # a bare IPv6 address, which leaves no room for a port
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or not text.isprintable() or not (host := match["bracketed"] or match["plain"]):
        raise ValueError("must be an address with a port, like 0.0.0.0:123 or [::]:123")
    port = default_port if match["port"] is None else int(match["port"])
    if port > 65535:
        raise ValueError(f"port {port} is above 65535")
    if match["bracketed"] and ":" not in host:
        raise ValueError("brackets are for IPv6 addresses only")
    return host, port


def _can_answer(address: str) -> bool:
    """Whether an address is one of a single machine: not of all, of a group, of none, or kept for the future."""
    where = ip_address(address)
    if where.is_unspecified or where.is_multicast:
        return False
    return where.version == 6 or not (where.is_reserved or where.packed[0] == 0)  # reserved: also 255.255.255.255


def numeric_address(host: str) -> str | None:
    """The one spelling of an IPv4 or IPv6 address, the latter perhaps with a zone; None for anything else.

    An IPv4 address in IPv6 clothes (::ffff:192.0.2.1) is that IPv4 address.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
