"""The fast path, opened and closed; a test is skipped, with the reason, where the kernel does not allow it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.system.xdp.wire import Wire

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.xdp.attachment import open_fast_path
from ntp_usg.net.xdp.fast_path import FastPath


@pytest.fixture
def open_path() -> Iterator[Callable[..., FastPath]]:
    """`open_path(policy)`, with the options of open_fast_path."""
    opened = []

    def start(policy: ServerPolicy | None = None, **options: Any) -> FastPath:
        try:
            path = open_fast_path(policy or ServerPolicy(rate_limit=False), **options)
        except NtpUsgError as error:
            pytest.skip(str(error))
        opened.append(path)
        return path

    yield start
    for path in opened:
        path.close()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    try:
        open_fast_path(ServerPolicy()).close()
        one = Wire()
    except (NtpUsgError, OSError) as error:
        pytest.skip(f"no XDP, or no network namespaces: {error}")
    yield one
    one.close()
