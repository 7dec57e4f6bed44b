"""A Trimble receiver that speaks TSIP: ThunderBolt, Resolution and its kin, Palisade and Acutime."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.tsip import TsipAssembler
from ntp_usg.refclocks.receiver import ReceiverDriver, ReceiverOptions


class TsipOptions(ReceiverOptions):
    """The configuration table [tsip]."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **ReceiverOptions.ALIASES,
        "time1": Alias("offset_secs"),
        "time2": absent("this driver knows one offset only: write `offset_secs`"),
    }
    """Of ntpd's driver 29."""

    configure: bool = True
    """Ask the receiver what it sends, have it send time and status on UTC, and ask for the satellites; permanent memory
    is not written. Without, the driver only listens."""
    min_satellites: Annotated[int, Field(ge=0, le=99)] = 0
    """With fewer satellites in the fix the time is not believed. A receiver that knows its position needs only one, and
    one that is not asked does not tell how many it has."""

    def source(self) -> ReceiverSettings:
        return self.named("GPS_TSIP", "tsip")


class TsipDriver(ReceiverDriver):
    """Needs 8F-AB and 8F-AC, or 8F-AD, or 8F-0B."""

    Options: ClassVar[type[BaseModel]] = TsipOptions
    protocol = "TSIP"
    needs = "8F-AB and 8F-AC, 8F-AD or 8F-0B (`configure = true` switches them on)"
    hint = ' Palisade and Acutime want parity = "odd".'

    def __init__(self, options: TsipOptions) -> None:
        super().__init__(options)
        self._configure = options.configure

    def assemble(self) -> TsipAssembler:
        return TsipAssembler(configure=self._configure)
