"""Any receiver that speaks NMEA 0183 over a serial line."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator

from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.nmea import NmeaAssembler
from ntp_usg.refclocks.receiver import ReceiverDriver, ReceiverOptions

SentenceName = Literal["RMC", "GGA", "GNS", "GLL", "ZDA"]


def _dated(names: tuple[SentenceName, ...]) -> tuple[SentenceName, ...]:
    if names and not {"RMC", "ZDA"} & set(names):
        raise ValueError("must have RMC or ZDA among them: no other sentence tells the date")
    return names


class NmeaOptions(ReceiverOptions):
    """The configuration table [gps]."""

    sentences: Annotated[
        tuple[SentenceName, ...],
        BeforeValidator(lambda names: tuple(names) if isinstance(names, list) else names),
        AfterValidator(_dated),
    ] = ()
    """Sentences that may name a second and stamp its arrival; where none is given, all. The others tell of the fix."""

    def source(self) -> ReceiverSettings:
        return self.named("GPS_NMEA", "nmea")


class NmeaDriver(ReceiverDriver):
    """Reads RMC, GGA, GNS, GLL, ZDA, GSA and GSV of every satellite system, and TXT where it tells of the antenna."""

    Options: ClassVar[type[BaseModel]] = NmeaOptions
    protocol = "NMEA"
    needs = "RMC, or ZDA with GGA"

    def __init__(self, options: NmeaOptions) -> None:
        super().__init__(options)
        self._sentences = options.sentences

    def assemble(self) -> NmeaAssembler:
        return NmeaAssembler(self._sentences)
