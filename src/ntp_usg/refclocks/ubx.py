"""A u-blox receiver that speaks UBX, with or without NMEA, over a serial line. The driver only listens."""

from typing import ClassVar

from pydantic import BaseModel

from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.ubx import UbxAssembler
from ntp_usg.refclocks.receiver import ReceiverDriver, ReceiverOptions


class UbxOptions(ReceiverOptions):
    """The configuration table [ubx]."""

    def source(self) -> ReceiverSettings:
        return self.named("GPS_UBX", "ubx")


class UbxDriver(ReceiverDriver):
    """Needs NAV-PVT, or NAV-TIMEUTC with NAV-STATUS and NAV-SAT; switches nothing on in the receiver."""

    Options: ClassVar[type[BaseModel]] = UbxOptions
    protocol = "UBX"
    hint = " It must have UBX-NAV-PVT switched on: this driver only listens."

    def assemble(self) -> UbxAssembler:
        return UbxAssembler()
