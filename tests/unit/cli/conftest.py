import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

Answers = Callable[[bytes], list[bytes]]
ServerAt = Callable[[Answers], int]


@contextmanager
def _udp_server(answers: Answers, host: str) -> Iterator[int]:
    """Sends what `answers` makes of each datagram; an empty one ends it."""

    def serve() -> None:
        while (request := endpoint.recvfrom(1024))[0]:
            for packet in answers(request[0]):
                endpoint.sendto(packet, request[1])

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind((host, 0))
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield endpoint.getsockname()[1]
        finally:
            endpoint.sendto(b"", endpoint.getsockname())
            thread.join()


@pytest.fixture
def udp_server() -> Iterator[Callable[..., int]]:
    """`udp_server(answers, host="127.0.0.1")` -> the port at which a server answers so."""
    with ExitStack() as stack:
        yield lambda answers, host="127.0.0.1": stack.enter_context(_udp_server(answers, host))


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else runs on this machine is no business of tests."""
    monkeypatch.setattr("ntp_usg.cli.status.running", lambda names: [])
