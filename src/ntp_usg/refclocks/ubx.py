"""A u-blox receiver that speaks UBX, with or without NMEA, over a serial line."""

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, model_validator

from ntp_usg.core.base.samples import Position
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.ubx import UbxAssembler
from ntp_usg.core.receivers.ubx_settings import Placement
from ntp_usg.core.receivers.ubx_setup import UbxSetup
from ntp_usg.refclocks.receiver import SAWTOOTH_SIGNS, ReceiverDriver, ReceiverOptions, Sawtooth


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class UbxOptions(ReceiverOptions):
    """The configuration table [ubx]."""

    configure: bool = True
    """Ask the receiver what it is, and set it up for timing, in its working memory only; else just listen."""
    survey_in_secs: Annotated[int, Field(ge=0, le=30 * 86_400)] = 3600
    """How long a timing receiver measures where it is, at least; 0 = the antenna moves, or all is set up already."""
    survey_in_accuracy_m: Annotated[FiniteFloat, Field(ge=0.01, le=1000)] = 5.0
    """It goes on until it knows its position so well; `position`, too, is taken to be so good."""
    position: (
        Annotated[
            tuple[
                Annotated[FiniteFloat, Field(ge=-90, le=90)],
                Annotated[FiniteFloat, Field(ge=-180, le=180)],
                Annotated[FiniteFloat, Field(ge=-1000, le=10_000)],
            ],
            BeforeValidator(_as_tuple),
        ]
        | None
    ) = None
    """Where the antenna stands, when that is known: degrees north, degrees east, metres above the WGS 84 ellipsoid."""
    sawtooth: Sawtooth = "add"
    """What to do with the pulse error that TIM-TP tells. The manual adds it; the right one gives [pps] less jitter."""

    def source(self) -> ReceiverSettings:
        return self.named("GPS_UBX", "ubx")

    @property
    def placement(self) -> Placement:
        """The same for the receiver; one in a vehicle is to be told nothing."""
        position = Position(*self.position) if self.position else None
        return Placement(0 if self.mobile else self.survey_in_secs, self.survey_in_accuracy_m, position)

    @model_validator(mode="after")
    def _stands_somewhere(self) -> Self:
        if self.mobile and self.position:
            raise ValueError("`position` is of an antenna that stands still, and `mobile` is on")
        return self


class UbxDriver(ReceiverDriver):
    """Needs NAV-PVT, or NAV-TIMEUTC with NAV-STATUS and NAV-SAT or NAV-SVINFO; switches them on if it may."""

    Options: ClassVar[type[BaseModel]] = UbxOptions
    protocol = "UBX"
    needs = "NAV-PVT (`configure = true` switches it on)"

    def __init__(self, options: UbxOptions) -> None:
        super().__init__(options)
        self._sawtooth_sign = SAWTOOTH_SIGNS[options.sawtooth]
        self._placement = options.placement if options.configure else None
        if self._placement:
            self.hint = " To be switched to UBX it must hear this host, too: is its RX wired to this host's TX?"
        else:
            self.hint = " It must have UBX-NAV-PVT switched on: `configure` is off."

    def assemble(self) -> UbxAssembler:
        setup = UbxSetup(self._placement) if self._placement else None
        return UbxAssembler(setup, sawtooth_sign=self._sawtooth_sign)
