"""Any receiver that speaks NMEA 0183 over a serial line."""

from typing import ClassVar

from pydantic import BaseModel

from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.nmea import NmeaAssembler
from ntp_usg.refclocks.receiver import ReceiverDriver, ReceiverOptions


class NmeaOptions(ReceiverOptions):
    """The configuration table [gps]."""

    def source(self) -> ReceiverSettings:
        return self.named("GPS_NMEA", "nmea")


class NmeaDriver(ReceiverDriver):
    """Understands RMC, GGA, ZDA and GSV."""

    Options: ClassVar[type[BaseModel]] = NmeaOptions
    protocol = "NMEA"

    def assemble(self) -> NmeaAssembler:
        return NmeaAssembler()
