"""A Motorola Oncore receiver in its own protocol: VP, UT+, M12, M12+T and kin, with 6, 8 or 12 channels."""

import asyncio
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, model_validator

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.samples import Position
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.oncore import OncoreAssembler
from ntp_usg.core.receivers.oncore_setup import Mode, OncoreSettings
from ntp_usg.core.receivers.oncore_survey import USUAL_FIXES, Survey, build_survey, parse_survey
from ntp_usg.refclocks.driver import Context
from ntp_usg.refclocks.receiver import SAWTOOTH_SIGNS, ReceiverDriver, ReceiverOptions, Sawtooth
from ntp_usg.refclocks.state_file import read_state, write_state

_SAVE_SECONDS = 60.0


class OncoreOptions(ReceiverOptions):
    """The configuration table [oncore]."""

    configure: bool = True
    """Set the receiver up for timing. Without, the driver only listens, and of what follows only `sawtooth` counts."""
    mode: Literal["survey", "position hold", "navigate"] = "survey"
    """`survey` finds the antenna's position, then holds it; `position hold` takes `position` for it; `navigate` is for
    an antenna that moves."""
    position: Annotated[
        tuple[
            Annotated[FiniteFloat, Field(ge=-90, le=90)],
            Annotated[FiniteFloat, Field(ge=-180, le=180)],
            Annotated[FiniteFloat, Field(ge=-1000, le=18_000)],
        ]
        | None,
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    ] = None
    """Latitude and longitude of the antenna in degrees, north and east positive, and metres above the ellipsoid."""
    survey_fixes: Annotated[int, Field(ge=60, le=1_000_000)] = USUAL_FIXES
    """Number of fixes in a survey, one a second."""
    state_file: Annotated[str, Field(pattern="^/")] | None = None
    """Where the survey is kept each minute, to go on after a restart: an absolute path."""
    cable_delay_ns: Annotated[int, Field(ge=0, le=999_999)] = 0
    """Of the antenna's cable; the receiver's pulses come earlier by it. About 5 ns a metre."""
    mask_angle_deg: Annotated[int, Field(ge=0, le=89)] = 10
    """Satellites lower than this are not used."""
    sawtooth: Sawtooth = "add"
    """What to do with the receiver's negative sawtooth: by the manual's words it is added; ntpd subtracts it. The right
    one gives the smaller jitter of [pps]."""
    min_satellites: Annotated[int, Field(ge=0, le=99)] = 1
    """With fewer satellites in use the time is not believed. A receiver that holds its position needs only one."""

    @model_validator(mode="after")
    def _has_position(self) -> Self:
        if self.mode == "position hold" and self.position is None:
            raise ValueError('mode "position hold" needs `position`')
        return self

    def source(self) -> ReceiverSettings:
        return self.named("GPS_ONCORE", "oncore")

    def settings(self) -> OncoreSettings:
        """What the receiver is to be told."""
        return OncoreSettings(
            configure=self.configure,
            mode=Mode(self.mode) if self.configure else Mode.NAVIGATE,
            position=Position(*self.position) if self.position else None,
            survey_fixes=self.survey_fixes,
            cable_delay_ns=self.cable_delay_ns,
            mask_angle_deg=self.mask_angle_deg,
            sawtooth_sign=SAWTOOTH_SIGNS[self.sawtooth],
        )


class OncoreDriver(ReceiverDriver):
    """Reads @@Ea or @@Ha, with @@En or @@Hn for the pulses."""

    Options: ClassVar[type[BaseModel]] = OncoreOptions
    protocol = "Motorola binary"
    needs = "@@Ba, @@Ea or @@Ha (`configure = true` switches it on)"
    hint = " An M12 may be set to NMEA instead."

    def __init__(self, options: OncoreOptions) -> None:
        super().__init__(options)
        self._settings = options.settings()
        is_kept = options.state_file and self._settings.mode is Mode.SURVEY
        self._file = Path(options.state_file) if options.state_file and is_kept else None
        self._assembler: OncoreAssembler | None = None

    def assemble(self) -> OncoreAssembler:
        survey, remark = self._resume()
        self._assembler = OncoreAssembler(self._settings, survey, remark)
        return self._assembler

    async def run(self, context: Context) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(super().run(context))
                tasks.create_task(self._keep_saving())
        finally:
            self._save()

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            self._save()

    def _resume(self) -> tuple[Survey, str]:
        """The survey so far, and what people should know of its file."""
        if self._assembler:
            return self._assembler.survey, self._save()
        survey = Survey()
        try:
            data = read_state(self._file) if self._file else None
            survey = survey if data is None else parse_survey(data)
        except WireError:
            # It may be anybody's, by a slip of the pen: so it is left alone.
            remark, self._file = f"{self._file} holds no survey: move it away", None
            return survey, remark
        except DeviceError as error:
            return survey, str(error)
        return survey, self._keep(survey)

    def _save(self) -> str:
        return self._keep(self._assembler.survey) if self._assembler else ""

    def _keep(self, survey: Survey) -> str:
        """Why that fails, if it does."""
        try:
            if self._file:
                write_state(self._file, build_survey(survey))
        except DeviceError as error:
            return str(error)
        return ""
