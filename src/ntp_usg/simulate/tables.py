"""The tables of a scenario file. Their keys are the fields of what they describe, flat."""

from dataclasses import dataclass, replace

from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.engine.settings import EngineSettings, NetworkSettings, PulseSettings, ReceiverSettings
from ntp_usg.core.wire.reference_id import address_reference
from ntp_usg.simulate.host import ServerSettings
from ntp_usg.simulate.links import LinkSettings
from ntp_usg.simulate.oscillators import OscillatorSettings
from ntp_usg.simulate.receivers import MessageNoise, PulseNoise


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTable(LinkSettings):
    """`[[link]]`: a path between two hosts or servers."""

    between: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTable(ServerSettings):
    """`[[server]]`: it answers with what its oscillator shows, right or wrong."""

    name: str
    oscillator: OscillatorSettings = OscillatorSettings()


def reference_of(name: str) -> bytes:
    """The reference id of whoever follows a host or server: a name stands for its address."""
    return address_reference(name.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable(AssociationSettings):
    """`[[host.source]]`: a server or host that it asks for the time, by its name."""

    prefer: bool = False
    trust: bool = False
    require: bool = False
    noselect: bool = False
    offset: float = 0.0

    def settings(self) -> NetworkSettings:
        return NetworkSettings(
            name=self.name,
            driver="ntp",
            device=self.name,
            reference_id=reference_of(self.name),
            association=self,
            prefer=self.prefer,
            trust=self.trust,
            require=self.require,
            noselect=self.noselect,
            offset=self.offset,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PpsTable(PulseNoise):
    """`[[host.pps]]`: a pulse line, and what the engine believes of it."""

    name: str = "PPS(0)"
    accuracy: float = 1e-6
    offset: float = 0.0
    timeout: float = 2.0
    rate_hz: int = 1

    def settings(self) -> PulseSettings:
        return PulseSettings(
            name=self.name,
            driver="pps",
            device=self.name,
            reference_id=b"PPS\0",
            timeout=self.timeout,
            accuracy=self.accuracy,
            offset=self.offset,
            rate_hz=self.rate_hz,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpsTable(MessageNoise):
    """`[[host.gps]]`: a receiver's serial line, and what the engine believes of it."""

    name: str = "GPS_NMEA(0)"
    accuracy: float = 0.2
    assumed_latency: float = 0.0
    timeout: float = 5.0

    def settings(self) -> ReceiverSettings:
        return ReceiverSettings(
            name=self.name,
            driver="nmea",
            device=self.name,
            reference_id=b"GPS\0",
            timeout=self.timeout,
            accuracy=self.accuracy,
            latency=self.assumed_latency,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTable:
    """`[[host]]`: a machine that runs the engine, and is looked at."""

    name: str
    translated: bool = False
    """Whether it is behind an address translator, so that it cannot see that a server follows it."""
    oscillator: OscillatorSettings = OscillatorSettings()
    engine: EngineSettings = EngineSettings()
    source: tuple[SourceTable, ...] = ()
    pps: tuple[PpsTable, ...] = ()
    gps: tuple[GpsTable, ...] = ()

    def engine_settings(self) -> EngineSettings:
        """The engine's own table, with the sources that the others describe."""
        return replace(
            self.engine,
            receivers=tuple(each.settings() for each in self.gps),
            pulse_lines=tuple(each.settings() for each in self.pps),
            servers=tuple(each.settings() for each in self.source),
        )
