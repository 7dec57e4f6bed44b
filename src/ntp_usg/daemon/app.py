"""The daemon: builds the parts from the settings, connects them, and keeps them until told to stop."""

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from ntp_usg import __version__
from ntp_usg.clocks.choice import choose_clock
from ntp_usg.config.models import Settings, kind
from ntp_usg.core.base.actions import Leave, Send
from ntp_usg.core.base.addresses import parse_listen_address, parse_server_address
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.instants import HostNs, WallNs
from ntp_usg.core.base.ports import SteeredClock
from ntp_usg.core.base.samples import DeviceStatus
from ntp_usg.core.base.snapshots import SystemSnapshot
from ntp_usg.core.engine.engine import Engine, Learned
from ntp_usg.core.wire.reference_id import address_reference
from ntp_usg.daemon.background import Background
from ntp_usg.daemon.clock_watch import watch_clock
from ntp_usg.daemon.containment import FaultLog, keep_running
from ntp_usg.daemon.leap_file import LeapFile
from ntp_usg.daemon.logs import report_held_back
from ntp_usg.daemon.memory import SAVE_INTERVAL, DriftFile, read_temperature
from ntp_usg.daemon.monitoring import Monitoring
from ntp_usg.daemon.notify import ServiceManager, notify
from ntp_usg.daemon.own_addresses import OwnAddresses
from ntp_usg.daemon.plan import engine_settings, holdover_model, server_policy
from ntp_usg.daemon.progress import ProgressLog
from ntp_usg.daemon.reload import Configuration, Load
from ntp_usg.daemon.runner import EngineRunner, SourceContext
from ntp_usg.daemon.signals import STOP_SIGNALS, Signals
from ntp_usg.daemon.state import DaemonState
from ntp_usg.daemon.tasks import run_together, run_until
from ntp_usg.net.answering import AnsweringService, start_service
from ntp_usg.net.client import ClientEndpoints
from ntp_usg.net.listening import Listening
from ntp_usg.net.network_watch import watch_network
from ntp_usg.net.workers.orphans import end_orphans
from ntp_usg.net.xdp.endpoints import listeners
from ntp_usg.net.xdp.service import start_xdp
from ntp_usg.observe.server import serve_tcp, serve_unix
from ntp_usg.observe.units import format_interval
from ntp_usg.observe.web import build_app
from ntp_usg.refclocks.driver import Driver, DriverOptions
from ntp_usg.sysapi.environment import only_select
from ntp_usg.sysapi.timex import clock_precision

log = logging.getLogger(__name__)

TEMPERATURE_INTERVAL = 60.0
LOOK_INTERVAL = 60.0
ADDRESSES_INTERVAL = 600.0


class Daemon:
    """One running server. `load` reads the settings again at SIGHUP; `drivers` are classes by configuration table."""

    def __init__(
        self,
        settings: Settings,
        drivers: dict[str, type[Driver]],
        load: Load,
        signals: Signals,
    ) -> None:
        self._settings = settings
        self._drivers = drivers
        self._configuration = Configuration(settings, load)
        self._signals = signals
        self._clock: SteeredClock = choose_clock(settings.server.clock)
        self._drift_file = DriftFile(settings.clock.drift_file)
        self._leap_file = LeapFile(settings.clock.leap_file)
        saved = self._drift_file.load()
        plan = engine_settings(settings, clock_precision(), saved, self._leap_file.table, self._drift_file.latencies())
        self._engine = Engine(plan, self._clock, secrets.randbits, holdover_model(saved))
        self.state = DaemonState(self._engine, settings.server.listen_addr, self._configuration.needs_restart)
        servers = {each.address: parse_server_address(each.address) for each in settings.sources}
        self._endpoints = ClientEndpoints(servers, self._departed, self._answered, only_select=only_select())
        self._own_addresses = OwnAddresses(settings.server.listen_addr)
        self._network_changed = asyncio.Event()
        self._faults = FaultLog()
        self._runner = EngineRunner(self._engine, self._clock, self._publish, self._ask, self._faults)
        self._listening: Listening | None = None
        self._progress = ProgressLog(self._engine.snapshot)
        self._service_manager = ServiceManager(lambda: _status_line(self.state.snapshot(), self.state.needs_restart()))
        self._service: AnsweringService | None = None
        self._background = Background()
        self._monitoring = Monitoring(self.state, self._background)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises NtpUsgError where a part cannot be built."""
        stop = asyncio.Event()
        with self._signals.wake(asyncio.get_running_loop(), by_descriptor=not only_select()):
            for number in STOP_SIGNALS:
                self._signals.on(number, partial(_stop, stop))
            await run_until(stop, self._serve())

    async def _serve(self) -> None:
        """Start all parts, each after those that it needs. However this ends, what was learned is saved."""
        asyncio.get_running_loop().set_exception_handler(self._faults.on_loop)
        async with AsyncExitStack() as parts:
            parts.callback(self._clock.close)
            parts.callback(self._save)
            parts.callback(self._endpoints.close)
            parts.callback(self._background.close)
            self._service = await self._start_service()
            parts.push_async_callback(self._service.stop)
            self.state.attach(self._service, server_policy(self._settings))
            await self._start_http(parts)
            self._greet()
            notify("READY=1")
            self._signals.on(signal.SIGHUP, self._reload)
            works = {
                "The engine's timer": self._runner.run,
                "The service manager": self._service_manager.inform,
                "Saving the drift file": self._keep_learned,
                "Reading the temperature": self._feel,
                "Finding our addresses": self._keep_addresses,
                "Looking around": self._look_around,
                "Listening for network changes": self._watch_network,
                "Watching the host's clock": self._watch_clock,
            }
            running = [keep_running(what, work, self._faults) for what, work in works.items()]
            await run_together([*running, *map(self._observe, self._settings.drivers)])

    async def _start_service(self) -> AnsweringService:
        server = self._settings.server
        in_process = only_select() or not server.workers
        if ended := end_orphans({parse_listen_address(each).port for each in server.listen_addr}):
            log.warning("An earlier daemon died and left workers, they have been ended: processes %s", ended)
        number = 1 if in_process else server.workers
        self._listening = Listening(server.listen_addr, number, dscp=server.dscp)
        sockets = self._listening.sets
        policy, with_xdp = server_policy(self._settings), server.xdp and not only_select()
        listening = listeners(sockets[0]) if with_xdp else []
        service = await start_service(
            sockets, policy, in_process=in_process, user=server.user, on_request=self._monitoring.take
        )
        self.state.places = sum(len(table.columns["hits"]) for table in service.client_tables())
        if not with_xdp:
            return service
        helped, self.state.fast_path = await start_xdp(
            service,
            policy,
            server.xdp,
            server.xdp_mode,
            listening=listening,
            dscp=server.dscp,
            stamping=server.stamping,
        )
        self.state.places += policy.max_clients if helped is not service else 0
        return helped

    async def _start_http(self, parts: AsyncExitStack) -> None:
        """Open the doors for people; time is served even where one of them stays shut."""
        do = self._background.do
        doors = [serve_unix(build_app(self.state, do, private=True), Path(self._settings.server.control_socket))]
        if self._settings.metrics.enabled:
            hosts = (socket.gethostname(), *self._settings.metrics.hosts)
            doors.append(serve_tcp(build_app(self.state, do, hosts=hosts), *self._settings.metrics.address))
        for door in doors:
            try:
                parts.push_async_callback((await door).stop)
            except NtpUsgError as error:
                log.error("%s", error)  # noqa: TRY400 - the text says it all

    async def _observe(self, table: str) -> None:
        """Run a driver for good: one that fails is reported as a device that is gone, and started again later."""
        options = self._settings.driver(table)
        assert isinstance(options, DriverOptions)
        name = options.source().name
        context = SourceContext(self._runner, self._clock, name)
        await keep_running(
            f"The driver of {name}",
            lambda: self._drivers[kind(table)](options).run(context),
            self._faults,
            lambda text: context.status(DeviceStatus(connected=False, detail=text)),
        )

    async def _feel(self) -> None:
        """Tell the engine once a minute how warm it is, where there is a thermometer."""
        while path := self._settings.holdover.temperature_file:
            self._engine.temperature(await asyncio.to_thread(read_temperature, path))
            await asyncio.sleep(TEMPERATURE_INTERVAL)

    async def _keep_addresses(self) -> None:
        """Look which addresses are ours whenever the kernel tells of new ones, and now and then."""
        while True:
            await asyncio.to_thread(self._own_addresses.refresh)
            with suppress(TimeoutError):
                async with asyncio.timeout(ADDRESSES_INTERVAL):
                    await self._network_changed.wait()
            self._network_changed.clear()

    async def _look_around(self) -> None:
        """Look once a minute whether our interfaces are there, and the files of leap seconds and drift right."""
        while True:
            self._look_at_interfaces()
            self._renew_leap_list()
            if self._engine.serving().synchronised:
                now = self._clock.serving().wall(self._clock.read()[0])
                self._drift_file.compare(now)
                self._leap_file.warn_of_expiry(now)
            await asyncio.sleep(LOOK_INTERVAL)

    async def _keep_learned(self) -> None:
        while True:
            await asyncio.sleep(SAVE_INTERVAL)
            await asyncio.to_thread(self._drift_file.save, *self._learned())  # a memory card may take seconds

    def _save(self) -> None:
        self._drift_file.save(*self._learned())

    def _learned(self) -> tuple[Learned | None, WallNs]:
        """What is worth keeping, and when it was known."""
        return self._engine.learned(), self._clock.serving().wall(self._clock.read()[0])

    def _publish(self) -> None:
        serving = self._engine.serving()
        bound = serving.root_dispersion + serving.root_delay / 2
        tai_offset = self._engine.tai_offset()
        self._clock.declare(leap=serving.leap, maximum_error=bound, estimated_error=bound, tai_offset=tai_offset)
        self.state.publish(serving)
        self._progress.look(self.state.now())
        self._service_manager.look(self._engine.standing)
        report_held_back()

    def _ask(self, action: Send | Leave) -> None:
        name = action.association
        if isinstance(action, Leave):
            self._endpoints.leave(name, action.why, for_ever=action.for_ever)
            return
        self._endpoints.send(name, action.data)
        self._progress.asked(name)
        trouble = self._endpoints.trouble(name)
        self._engine.device(name, DeviceStatus(trouble is None, trouble or "reachable"))  # the endpoints log it

    async def _watch_network(self) -> None:
        """Ask servers at once when the network has come (back); a simulator's network never goes."""
        if not only_select():
            await watch_network(self._network_returned)

    async def _watch_clock(self) -> None:
        """Hear at once that the host's clock was set; a simulator's programs are nobody's business but its own."""
        if not only_select():
            await watch_clock(self._clock_was_set)

    def _clock_was_set(self) -> None:
        self._engine.review_soon()
        self._runner.perform([])

    def _look_at_interfaces(self) -> None:
        """Answer again on interfaces that have been made again."""
        if self._listening is not None and self._service is not None and self._listening.look():
            self._service.listen_on(self._listening.sets)

    def _network_returned(self) -> None:
        self._network_changed.set()
        self._look_at_interfaces()
        self._endpoints.network_returned()
        self._runner.perform(self._engine.network_returned())

    def _departed(self, name: str, at: HostNs) -> None:
        address = self._endpoints.address(name)
        if address is not None:
            self._engine.located(name, address_reference(ip_address(address.partition("%")[0]).packed))
        self._tell_path(name)
        self._engine.sent(name, at)

    def _answered(self, name: str, data: bytes, at: HostNs) -> None:
        local = self._endpoints.local_address(name)
        if local is not None:
            address = self._endpoints.address(name)
            others = self._own_addresses.reference_ids(address) if address else frozenset()
            self._engine.seen_as(name, address_reference(local), others)
        self._tell_path(name)
        self._runner.perform(self._engine.receive(name, data, at))

    def _tell_path(self, name: str) -> None:
        path = self._endpoints.path(name)
        if path is not None:
            self._engine.reached(name, path, is_ours=self._own_addresses.answer_at(path.address, path.port))

    def _reload(self) -> None:
        """At SIGHUP: read all files again."""
        self._renew_leap_list()
        self._configuration.reload(self._adopt)

    def _renew_leap_list(self) -> None:
        if self._leap_file.look() and self._leap_file.table is not None:
            self._engine.leap_list(self._leap_file.table)

    def _adopt(self, settings: Settings) -> None:
        """Follow what SIGHUP has changed. Raises ValueError at access lists that cannot be."""
        policy = server_policy(settings)
        if self._service is not None:
            self._service.adopt(policy)
        self.state.policy = policy

    def _greet(self) -> None:
        names = ", ".join(source.name for source in self.state.snapshot().sources) or "no source"
        listen = ", ".join(self._settings.server.listen_addr)
        log.info("ntp_usg %s serves on %s from %s with the %s clock", __version__, listen, names, self._clock.name)
        for warning in self._settings.warnings:
            log.warning("%s", warning)
        if os.geteuid() == 0:
            log.warning("Running as root: a user with two capabilities is safer, see the systemd unit in docs/how-to")


def _stop(stop: asyncio.Event) -> None:
    if not stop.is_set():
        notify("STOPPING=1")
        log.info("Stopping")
        stop.set()


def _status_line(snapshot: SystemSnapshot, needs_restart: Sequence[str]) -> str:
    """One line for `systemctl status`."""
    line = f"{snapshot.phase.value.capitalize()}: not synchronised"
    if snapshot.serving.synchronised:
        offset = f"offset {format_interval(snapshot.offset, sign='+')}"
        alone = f"on its own, {snapshot.reserve} in reserve" if snapshot.reserve else "on its own"
        leader = snapshot.selected or alone
        line = f"{snapshot.phase.value.capitalize()}, stratum {snapshot.serving.stratum}, {leader}, {offset}"
    return f"{line}; needs a restart for {', '.join(needs_restart)}" if needs_restart else line
