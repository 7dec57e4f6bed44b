"""Every key of the configuration, one class a table. Drivers bring the models of their own tables themselves."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ntp_usg.config.values import (
    HostNames,
    InterfaceNames,
    ListenAddresses,
    Networks,
    OptionalPath,
    Seconds,
    ServerAddressText,
    Text,
    WebAddress,
)
from ntp_usg.core.base.aliases import Alias
from ntp_usg.core.base.durations import read_intervals


class Table(BaseModel):
    """What all tables share: unknown keys are errors, values keep the type they have in TOML, nothing changes later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _socket_path(path: str) -> str:
    if len(path.encode()) > 107:
        raise ValueError("is longer than the 107 bytes that the kernel allows a unix socket's path")
    return path


class ServerSettings(Table):
    """[server]: how requests are answered."""

    listen_addr: ListenAddresses = ("0.0.0.0:123", "[::]:123")
    """`address:port` or `interface:port`, one or a list; port 123 where none is given. To name the addresses,
    instead of all of them by 0.0.0.0, makes each answer some 5 % cheaper."""
    enable_interleaved: bool = False
    """Answer interleaved requests (RFC 9769) with the exact departure time of the answer before."""
    max_clients: int = Field(default=100_000, ge=1, le=10_000_000)
    """Clients remembered at once for rate limits and interleaving; the least recent is forgotten first."""
    stratum: int = Field(default=1, ge=1, le=15)
    """The best stratum ever claimed, and only while a reference clock is healthy."""
    workers: int = Field(default=1, ge=0, le=64)
    """Answering processes, at most one a core; clients are shared out by address. 0 answers inside the daemon."""
    xdp: InterfaceNames = ()
    """Interfaces, like `["eth0"]`, on which plain requests are answered within the kernel, many times faster."""
    xdp_mode: Literal["auto", "native", "generic", "offload"] = "auto"
    """In the driver, just behind it, or on the card; `auto` takes what there is, and goes on where there is none."""
    dscp: int = Field(default=0, ge=0, le=63)
    """Differentiated services code point of answers (RFC 2474); 46 is expedited forwarding."""
    clock: Literal["auto", "system", "virtual"] = "auto"
    """Steer the system's clock, or only the time that is served; `auto` steers where it is allowed to."""
    timestamp_interface: Text | None = None
    """The one interface in `xdp` whose card stamps packets; where absent, the cards of all of them do."""
    enable_hardware_timestamps: bool = False
    """On interfaces in `xdp`, natively: answers tell when the card took the request in, where it and its driver can."""
    control_socket: Annotated[Text, AfterValidator(_socket_path)] = "/run/ntp_usg/control.sock"
    """Unix socket through which `ntp_usg status` asks the daemon."""
    user: Text = "nobody"
    """The user that the answering process runs as, where root started the daemon."""

    @property
    def stamping(self) -> tuple[str, ...]:
        """The interfaces whose cards shall stamp what they receive."""
        if not self.enable_hardware_timestamps or self.xdp_mode not in ("auto", "native"):
            return ()
        return tuple(name for name in self.xdp if self.timestamp_interface in (None, name))


class RefclockSettings(Table):
    """[refclock]: which receivers to use; the devices named here win over gps.conf and pps.conf."""

    type: Literal["gps", "pps", "gps_pps"] | None = None
    """The reference clock; where absent, everything that is configured is used."""
    gps_device: object = None  # of any type: the model of the other table checks it
    """The same as `device` in [gps]."""
    gps_baud: object = None
    """The same as `baud_rate` in [gps]."""
    pps_device: object = None
    """The same as `device` in [pps]."""


class SourceSettings(Table):
    """[[source]]: a server to ask for the time, one such table each.

    Names that lead to one address have one vote together, and one that leads to this server has none.
    """

    ALIASES: ClassVar[Mapping[str, Alias]] = {"minpoll": Alias("min_poll"), "maxpoll": Alias("max_poll")}

    address: ServerAddressText
    """Host name or IP address; a port where it is not 123. Of several addresses one is asked until it fails."""
    min_poll: int = Field(default=6, ge=-7, le=17)
    """Ask every `2**min_poll` seconds at the most ..."""
    max_poll: int = Field(default=10, ge=-7, le=17, validate_default=True)
    """... and every `2**max_poll` seconds at least, even if it complains; a stable clock is polled less often."""
    iburst: bool = True
    """Ask a new server every two seconds, then ever more slowly; one that is back again, four times quickly."""
    burst: bool = False
    """Ask four times in quick succession at each poll: only for your own servers."""
    prefer: bool = False
    """Of sources that agree, follow this one."""
    trust: bool = False
    """Never count this source as a falseticker because others outvote it."""
    require: bool = False
    """Set the clock only while this source, or another one that is required, agrees."""
    noselect: bool = False
    """Watch this source, but never follow it."""
    version: int = Field(default=4, ge=3, le=4)
    """NTP version of the requests."""
    offset_secs: float = Field(default=0.0, ge=-1e9, le=1e9)
    """How far this source is known to be ahead: an asymmetric path, a server on another time scale."""

    @model_validator(mode="before")
    @classmethod
    def _with_units(cls, values: Any) -> Any:  # noqa: ANN401 - input of any type, as pydantic hands it over
        return read_intervals(values)

    @field_validator("max_poll")
    @classmethod
    def _above_min_poll(cls, max_poll: int, info: ValidationInfo) -> int:
        if max_poll < (min_poll := info.data.get("min_poll", max_poll)):
            raise ValueError(f"max_poll, {max_poll}, is below min_poll, {min_poll}")
        return max_poll

    @field_validator("noselect")
    @classmethod
    def _not_wanted_too(cls, noselect: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        if noselect and (others := [key for key in ("prefer", "trust", "require") if info.data.get(key)]):
            raise ValueError(f"contradicts `{others[0]}`: it means never to follow this source")
        return noselect


class SelectionSettings(Table):
    """[selection]: which sources are believed."""

    min_sources: int = Field(default=1, ge=1, le=100)
    """Sources that must agree before the clock is set."""
    max_distance: Seconds = 3.0
    """A source that may be off by more is not used (RFC 5905 MAXDIST)."""


class DisciplineSettings(Table):
    """[discipline]: how measurements become a clock."""

    algorithm: Literal["kalman", "regression", "pll"] = "kalman"
    """A Kalman filter that learns wander and noise, a regression line, or the loop of RFC 5905."""
    least_dispersion_ppm: float = Field(default=0.0, ge=0, le=15)
    """The error bound grows by so much at least, in holdover too; RFC 5905 says 15. With 0 it grows by 15 between
    two samples until the clock has been steady for a week, then by what the clock has shown, at least by 1; in holdover
    it grows as forecast."""


class ClockSettings(Table):
    """[clock]: what may be done to the clock."""

    step_threshold: Seconds = 0.128
    """A larger error is stepped away, a smaller one slewed."""
    step_limit: int = Field(default=-1, ge=-1, le=1_000_000)
    """How many updates may step after the clock was first set; -1 = every one may."""
    panic: Seconds = 1000.0
    """After the first update, a larger error is logged and not corrected; restart the daemon to accept it."""
    max_slew_ppm: float = Field(default=500.0, gt=0, le=100_000)
    """How fast an error may be slewed away; 500 is what the kernel itself does at most."""
    max_frequency_ppm: float = Field(default=500.0, gt=0, le=100_000)
    """How wrong the clock's frequency may be, by itself."""
    drift_file: OptionalPath = "/var/lib/ntp_usg/drift"
    """Where frequency and stability are kept for the next start; empty = nowhere."""
    leap_file: OptionalPath = "/usr/share/zoneinfo/leap-seconds.list"
    """The list of leap seconds, as IERS and tzdata publish it; read again when it changes. Empty = none."""
    leap_smear: bool = False
    """Spread a leap second over a day instead of serving it; only where every server does the same."""


class RateLimitSettings(Table):
    """[rate_limit]: a token bucket per client. On unless switched off: the safe state on the open internet."""

    enabled: bool = True
    """Whether clients are limited at all."""
    packets_per_second: float = Field(default=100.0, gt=0, le=1_000_000)
    """How fast a client's bucket fills. One refused request in four is answered still: others may ask in its name."""
    burst_size: int = Field(default=200, ge=1, le=1_000_000)
    """Requests that a client may send at once after a silence."""


class AccessSettings(Table):
    """[access]: networks like `10.0.0.0/8` or single addresses. `deny` is looked at first."""

    allow: Networks | None = None
    """Who is answered; absent = everybody, an empty list = nobody."""
    deny: Networks = ()
    """Who is never answered."""
    monitor: Networks = ("127.0.0.0/8", "::1/128")
    """Who may look inside with ntpq (mode 6)."""


class MetricsSettings(Table):
    """[metrics]: /metrics and /healthz over HTTP."""

    enabled: bool = True
    """Whether HTTP is served at all; the control socket always is."""
    listen: WebAddress = "127.0.0.1:8080"
    """IP address and port; 8080 where no port is given."""
    hosts: HostNames = ()
    """Names with a dot, like `["ntp1.example.org"]`, under which it answers browsers and scrapers; those that end in
    `.local`, `.home.arpa` or `.internal` need no entry."""

    @property
    def address(self) -> tuple[str, int]:
        """`listen` as the socket API wants it."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class HoldoverSettings(Table):
    """[holdover]: how long to carry on without a source."""

    budget: Seconds | None = None
    """Error that holdover may add before the server says that it is unsynchronised. Where it is not set: 10 ms with a
    reference clock or the local one; a client of servers goes on until its whole error bound passes
    `selection.max_distance`."""
    temperature_file: OptionalPath = ""
    """Where the kernel tells a temperature near the oscillator, like /sys/class/thermal/thermal_zone0/temp."""


class LogSettings(Table):
    """[log]: how much is told."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is written; `debug` adds the verdict of each sample, polls and selection."""


class Settings(Table):
    """The whole configuration, checked, with the origin of every value that is no default."""

    server: ServerSettings = ServerSettings()
    selection: SelectionSettings = SelectionSettings()
    discipline: DisciplineSettings = DisciplineSettings()
    clock: ClockSettings = ClockSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    access: AccessSettings = AccessSettings()
    metrics: MetricsSettings = MetricsSettings()
    holdover: HoldoverSettings = HoldoverSettings()
    log: LogSettings = LogSettings()
    sources: tuple[SourceSettings, ...] = ()
    """The servers to ask, in the order of the file."""
    drivers: Mapping[str, SerializeAsAny[BaseModel]] = {}
    """Options of the reference clocks in use, by table: `shm`, and `shm.1` of a second one."""
    passed_over: tuple[str, ...] = ()
    """Which files beside the configuration were not read, and how to have them read."""
    origins: Mapping[str, str] = {}
    """Dotted key -> `server.toml:3` or the flag that set it."""
    files: tuple[str, ...] = ()
    """The files that say something."""

    @property
    def warnings(self) -> list[str]:
        """What is allowed, but hardly meant: for the log."""
        found = []
        if not (self.drivers or self.sources):
            found.append("neither reference clock nor [[source]] is configured: every answer will say unsynchronised")
        if self.access.allow and not _answers_loopback(self.access):
            found.append(
                "[access] does not allow 127.0.0.1: ntpq and `ntp_usg query` on this machine will get no answer; "
                'add "127.0.0.0/8" and "::1/128" to allow'
            )
        found += self.passed_over
        if self.server.enable_hardware_timestamps and not self.server.stamping:
            which = self.server.timestamp_interface or "an interface"
            found.append(
                f"server.enable_hardware_timestamps has no effect without {which} in server.xdp, natively: "
                "the kernel stamps the packets"
            )
        return found

    def driver(self, name: str) -> BaseModel:
        """The options of one reference clock in use; KeyError for any other."""
        return self.drivers[name]


def _answers_loopback(access: AccessSettings) -> bool:
    local = ip_address("127.0.0.1")
    allowed, denied = (
        any(local in ip_network(each) for each in networks) for networks in (access.allow or (), access.deny)
    )
    return allowed and not denied


TABLES: Mapping[str, type[Table]] = {
    "server": ServerSettings,
    "refclock": RefclockSettings,
    "selection": SelectionSettings,
    "discipline": DisciplineSettings,
    "clock": ClockSettings,
    "rate_limit": RateLimitSettings,
    "access": AccessSettings,
    "metrics": MetricsSettings,
    "holdover": HoldoverSettings,
    "log": LogSettings,
}
"""The tables of server.toml besides those of the drivers."""

ARRAYS: Mapping[str, type[Table]] = {"source": SourceSettings}
"""Tables that are always written as several, each begun by a line like [[source]]; those of drivers may be."""

MAX_TABLES = 100
"""So often; it bounds the work that a file can cause."""


def kind(table: str) -> str:
    """The name by which a table has its model: that of `source.2`, the second [[source]], is `source`."""
    return table.partition(".")[0]


def numbered(name: str, index: int) -> str:
    """What the table at `index` of several is called: of drivers, whose units count from 0, the first as one alone."""
    number = index + 1 if name in ARRAYS else index
    return f"{name}.{number}" if number else name


SHORTCUTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("refclock", "gps_device"): ("gps", "device"),
    ("refclock", "gps_baud"): ("gps", "baud_rate"),
    ("refclock", "pps_device"): ("pps", "device"),
}
"""Keys that stand for a key of another table, and win over it."""

FLAGS: Mapping[tuple[str, ...], str] = {
    ("server", "listen_addr"): "--listen",
    ("server", "stratum"): "--stratum",
    ("server", "enable_interleaved"): "--enable-interleaved",
    ("server", "max_clients"): "--max-clients",
    ("server", "xdp"): "--xdp",
    ("gps", "device"): "--gps-device",
    ("gps", "baud_rate"): "--gps-baud",
    ("pps", "device"): "--pps-device",
}
"""Keys that can be given on the command line, and how."""
