"""Whom the configuration names, and who is at the other end."""

import os
import socket

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi import users
from ntp_usg.sysapi.users import find_users, user_of_peer

STRANGER = 65_534


def test_users_are_found_by_name():
    assert find_users(None) == set()
    assert find_users("root") == {0}
    with pytest.raises(DeviceError, match="no such user"):
        find_users("nobody at all")


@pytest.mark.parametrize(
    ("family", "listen", "connect"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_the_user_at_the_other_end_is_known_once_it_was_accepted(family, listen, connect):
    server = socket.create_server((listen, 0), family=family, dualstack_ipv6=listen == "::")
    with server, socket.create_connection((connect, server.getsockname()[1])) as link:
        accepted, _ = server.accept()
        with accepted:
            assert user_of_peer(link) == os.geteuid()
        assert user_of_peer(link) is None  # it was closed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_told_from_ourselves():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as link:
        os.seteuid(STRANGER)
        try:
            accepted, _ = server.accept()
        finally:
            os.seteuid(0)
        with accepted:
            assert user_of_peer(link) == STRANGER


def test_a_kernel_without_ipv6_tells_the_user_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(users, "TABLES", (users.TABLES[0], tmp_path / "tcp6"))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as link:
        accepted, _ = server.accept()
        with accepted:
            assert user_of_peer(link) == os.geteuid()
