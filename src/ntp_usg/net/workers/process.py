"""The answering worker: a process of its own, without any right, that lives as long as control wants it.

If control dies, its last state is still good for a while: the worker serves that until it expires, and then ends.
"""

import gc
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence

from ntp_usg.core.server.responder import Responder
from ntp_usg.net.service import Route, Service
from ntp_usg.net.workers.channel import MAX_MESSAGE, Kind, build_packet, parse_message, parse_packet, parse_policy
from ntp_usg.net.workers.rhythm import Rhythm
from ntp_usg.net.workers.shared import Heartbeat, StateReader, map_clients, map_counters
from ntp_usg.sysapi.privileges import drop_privileges, set_process_name, set_timer_slack

PROCESS_NAME = "ntp_usg_server"
HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A terminal or systemd sends these to all processes of the daemon; a worker starts with them blocked."""
ORPHANED_WAIT = 0.1
"""Seconds after which a worker without control looks whether it has to end."""
_TIMER_SLACK_NS = 1_000  # the usual 50 us would be as long as the pauses themselves


class Worker:
    """Serves the sockets once it has a policy and is told to, and does what the channel says until it closes."""

    def __init__(
        self, memories: tuple[int, int, int, int], channel: socket.socket, endpoints: Sequence[socket.socket]
    ) -> None:
        state, counters, clients, heartbeat = memories
        self._state = StateReader(state)
        self._counters = map_counters(counters)
        self._clients = map_clients(clients)
        self._heartbeat = Heartbeat(heartbeat)
        self._channel = channel
        self._endpoints = endpoints
        self._service: Service | None = None
        self._policy_parts: list[bytes] = []
        self._serving = self._told = False
        """Whether control wants us to serve, and whether epoll tells us of requests."""
        self._stopped = self._orphaned = self._unwanted = False
        """Whether control has told us to end, whether it has died, and whether a signal has told us to end."""
        self._poller = select.epoll()
        self._poller.register(channel, select.EPOLLIN)

    def run(self) -> None:
        """Serve until control says that it is enough or, without control, until its last state expires."""
        indexes = {endpoint.fileno(): index for index, endpoint in enumerate(self._endpoints)}
        rhythm = Rhythm(time.monotonic_ns())
        while not self._stopped:
            self._heartbeat.beat()
            served = 0
            if self._serving and self._told == rhythm.busy:
                self._be_told(not rhythm.busy)
            if rhythm.busy and self._service:
                served = sum(map(self._service.drain, indexes.values()))
            patience = min(rhythm.patience, ORPHANED_WAIT) if self._orphaned else rhythm.patience
            for descriptor, _ in self._poller.poll(patience) if rhythm.listens else ():
                if descriptor in indexes and self._service:
                    served += self._service.drain(indexes[descriptor])
                else:
                    self._listen_to_control()
            if self._orphaned:
                self._stopped = self._unwanted or not self._serving or self._is_expired()
            pause = rhythm.beat(served, time.monotonic_ns())
            if pause:
                time.sleep(pause)

    def end_without_control(self, *_: object) -> None:
        """Handle a signal that ends all processes of the daemon: control decides when we stop, as long as it lives."""
        self._unwanted = True

    def _is_expired(self) -> bool:
        return time.monotonic_ns() > self._state.read().expires_at

    def _be_told(self, told: bool) -> None:  # noqa: FBT001
        """Have epoll tell us of requests, or not: that costs a little for each of them."""
        for endpoint in self._endpoints:
            if told:
                self._poller.register(endpoint, select.EPOLLIN)
            else:
                self._poller.unregister(endpoint)
        self._told = told

    def _listen_to_control(self) -> None:
        try:
            message = self._channel.recv(MAX_MESSAGE)
        except ConnectionResetError:  # closed with words of ours unread
            message = b""
        if not message:
            self._poller.unregister(self._channel)
            self._orphaned = True
            return
        kind, body = parse_message(message)
        match kind:
            case Kind.SERVE:
                self._clients.recount()  # others have written the table since
                self._serving = True
            case Kind.STOP:
                self._stopped = True
            case Kind.BEAT:
                pass  # to be woken is enough: each turn of the loop is a beat
            case Kind.ANSWER if self._service:
                self._service.send(*parse_packet(body))
            case Kind.POLICY_PART:
                self._policy_parts.append(body)
            case Kind.POLICY_END:
                is_first = self._service is None
                self._heartbeat.busy = True
                self._adopt(b"".join([*self._policy_parts, body]))
                self._policy_parts.clear()
                self._heartbeat.busy = False
                if is_first:
                    self._channel.send(bytes([Kind.READY]))

    def _adopt(self, text: bytes) -> None:
        policy = parse_policy(text)
        if self._service:
            self._service.responder.adopt(policy)
            return
        self._service = Service(
            self._endpoints, Responder(policy, self._clients), self._state.read, self._counters, self._hand_up
        )

    def _hand_up(self, route: Route, packet: bytes) -> bool:
        try:
            self._channel.send(build_packet(Kind.REQUEST, route, packet), socket.MSG_DONTWAIT)
        except OSError:  # control is busy and the queue full, or it is going
            return False
        return True


def main(arguments: Sequence[str]) -> None:
    """Arguments: user and group to become, then the descriptors of the four memories, channel and sockets."""
    uid, gid, state, counters, clients, heartbeat, channel, *endpoints = map(int, arguments)
    set_process_name(PROCESS_NAME)
    set_timer_slack(_TIMER_SLACK_NS)
    drop_privileges(uid=uid, gid=gid)
    sockets = [socket.socket(fileno=descriptor) for descriptor in endpoints]
    worker = Worker((state, counters, clients, heartbeat), socket.socket(fileno=channel), sockets)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.end_without_control)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    gc.freeze()  # what is there now stays: no collection need look at it again
    worker.run()


if __name__ == "__main__":
    main(sys.argv[1:])
