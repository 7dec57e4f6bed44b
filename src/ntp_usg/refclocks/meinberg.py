"""A radio clock that sends Meinberg's time telegrams over a serial line: GPS, DCF77, or an IRIG reader."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, FiniteFloat, model_validator

from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.receivers.meinberg import MeinbergAssembler, Radio
from ntp_usg.refclocks.receiver import ReceiverDriver, ReceiverOptions

_WITH_PULSES = 128
_DCF77: Mapping[str, object] = {"radio": "dcf77", "reference_id": "DCF", "baud_rate": 9600}
_GPS: Mapping[str, object] = {"radio": "gps", "reference_id": "GPS", "baud_rate": 19200}
_MODES: dict[int, Mapping[str, object]] = {
    0: _DCF77,
    1: _DCF77,
    2: _DCF77,
    7: _GPS,
    18: _GPS,
    22: {**_DCF77, "trust_power_up": True},
    23: {**_GPS, "trust_power_up": True},
}
"""What ntpd's driver 8 makes of the numbers that are Meinberg clocks."""


def _mode(mode: int) -> int:
    if mode - (_WITH_PULSES if mode >= _WITH_PULSES else 0) not in _MODES:
        *others, last = map(str, _MODES)
        raise ValueError(
            f"ntpd's mode {mode} is no Meinberg clock: {', '.join(others)} and {last} are,"
            f" each also plus {_WITH_PULSES}, which asks for the pulses of [pps]"
        )
    return mode


def _radio(value: object) -> object:
    return next((radio for radio in Radio if radio == value), value)  # a text, for a model that is strict


class MeinbergOptions(ReceiverOptions):
    """The configuration table [meinberg]."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **ReceiverOptions.ALIASES,
        "time1": Alias("offset_secs"),
        "time2": absent("that is an offset of pulses, or a trust time: for the first, write `offset_secs` in [pps]"),
        "flag1": absent("says what `time2` is in ntpd, and there is none"),
        "flag4": absent("leap seconds are decided by vote and leap-seconds.list, not by a flag"),
    }
    """Of ntpd's driver 8."""

    mode: Annotated[int | None, AfterValidator(_mode)] = None
    """The number of ntpd's driver 8, which presets `radio`, `reference_id` and `baud_rate`: 0, 1, 2 (DCF77 at 9600
    baud), 7, 18 (GPS at 19200), 22 and 23 (2 and 7, and `trust_power_up`). Plus 128 it says that there are pulses: give
    them a table [pps]."""
    radio: Annotated[Radio, BeforeValidator(_radio)] = Radio.GPS
    """What the clock listens to: it decides what `*` in a telegram means."""
    utc_offset_secs: Annotated[int, Field(ge=-50_400, le=50_400)] = 3600
    """How far the clock's local standard time is ahead of UTC: 3600 is Central Europe. In summer an hour is added where
    the telegram says so; telegrams in UTC, and those that tell their offset, make no use of it."""
    trust_power_up: bool = False
    """Believe the clock although it has not been synchronised since it was switched on."""
    min_satellites: Literal[0] = 0
    """No telegram tells how many there are."""
    offset_secs: FiniteFloat = 0.001
    """How late its news arrive, steadily: by the time that a first character takes. Positive = late."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 0.02
    """How far a telegram's arrival may be off, once `offset_secs` is taken off: half the width of an honest bound."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was written
        """Let the number of a mode stand for what it presets, where nothing else is said."""
        if not isinstance(values, Mapping) or not isinstance(mode := values.get("mode"), int):
            return values
        return {**_MODES.get(mode % _WITH_PULSES, {}), **values}

    def source(self) -> ReceiverSettings:
        return self.named("GENERIC", "meinberg")


class MeinbergDriver(ReceiverDriver):
    """Only listens: the clock must be set to send a telegram a second."""

    Options: ClassVar[type[BaseModel]] = MeinbergOptions
    protocol = "Meinberg telegrams"
    needs = "a Standard or Uni Erlangen telegram each second"
    hint = " It must be set to send one a second: Standard or Uni Erlangen."

    def __init__(self, options: MeinbergOptions) -> None:
        super().__init__(options)
        self._telegrams = options

    def assemble(self) -> MeinbergAssembler:
        options = self._telegrams
        with_pulses = options.mode is not None and options.mode >= _WITH_PULSES
        return MeinbergAssembler(
            options.radio,
            options.utc_offset_secs,
            trust_power_up=options.trust_power_up,
            remark=f"mode {options.mode}: its pulses are those of [pps]" if with_pulses else "",
        )
