"""What is wrong with the sources taken together: each may be right by itself, and still be no witness of the time."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from pydantic import BaseModel

from ntp_usg.config.models import SelectionSettings, ServerSettings
from ntp_usg.config.problems import Entry
from ntp_usg.config.values import server_address, shown
from ntp_usg.core.base.addresses import (
    ListenAddress,
    ServerAddress,
    numeric_address,
    parse_listen_address,
    parse_server_address,
)
from ntp_usg.core.base.errors import ConfigProblem


def repeated(addresses: Sequence[Entry]) -> Iterator[ConfigProblem]:
    """Whatever is said twice would count for two when sources outvote each other."""
    seen = set()
    for entry in addresses:
        if (address := server_address(str(entry.value))) in seen:
            yield entry.problem(f"`{entry.name}`: {shown(address)} is there twice")
        seen.add(address)


def ourselves(addresses: Sequence[Entry], server: BaseModel | None) -> Iterator[ConfigProblem]:
    """We would answer ourselves; addresses of interfaces are compared while the daemon runs."""
    if not isinstance(server, ServerSettings):
        return
    listening = [parse_listen_address(each) for each in server.listen_addr]
    for entry in addresses:
        asked = parse_server_address(str(entry.value))
        if any(_answers(each, asked) for each in listening):
            yield entry.problem(
                f"`{entry.name}`: {shown(str(asked))} is this server itself (server.listen_addr): "
                "it cannot confirm its own time, name another server"
            )


def too_few(
    selection: BaseModel | None, entry: Entry | None, tables: Mapping[str, BaseModel]
) -> Iterator[ConfigProblem]:
    """More sources are to agree than there are."""
    if entry is None or not isinstance(selection, SelectionSettings):
        return
    voters = sum(not getattr(each, "noselect", False) for each in tables.values())
    if selection.min_sources > voters:
        yield entry.problem(
            f"`{entry.name}`: {selection.min_sources} sources must agree, but only {voters} can be followed: "
            "the clock would never be set"
        )


def _answers(listen: ListenAddress, asked: ServerAddress) -> bool:
    """Whether a request to a server would come to a socket of ours, as far as the words tell."""
    if listen.host is None or listen.port != asked.port:
        return False
    if asked.host == "localhost":
        return ip_address(listen.host).is_unspecified or ip_address(listen.host).is_loopback
    if listen.host == asked.host:
        return True
    host, numeric = ip_address(listen.host), numeric_address(asked.host)
    where = ip_address(numeric) if numeric else None
    return where is not None and host.is_unspecified and host.version == where.version and where.is_loopback
