"""Configuration directories made of texts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ntp_usg.config.loader import load_settings
from ntp_usg.config.models import Settings
from ntp_usg.config.problems import Models
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.refclocks.nmea import NmeaOptions
from ntp_usg.refclocks.pps import PpsOptions

SECTIONS: Models = {"gps": NmeaOptions, "pps": PpsOptions}

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads what is given as text: `load("[server]...", gps="[gps]...", flags={"gps.device": "/dev/x"})`.

    The path is taken for the default one; `elsewhere=True` makes it another.
    """
    monkeypatch.setattr("ntp_usg.config.loader.DEFAULT_PATH", tmp_path / "server.toml")

    def load(
        server: str | bytes, *, flags: Mapping[str, object] | None = None, elsewhere: bool = False, **others: str
    ) -> Settings:
        if elsewhere:
            monkeypatch.setattr("ntp_usg.config.loader.DEFAULT_PATH", Path("/etc/ntp_usg/server.toml"))
        (tmp_path / "server.toml").write_bytes(server if isinstance(server, bytes) else server.encode())
        for name, text in others.items():
            (tmp_path / f"{name}.conf").write_text(text)
        return load_settings(tmp_path / "server.toml", sections=SECTIONS, overrides=flags or {})

    return load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """The problems of what is given as for `load`, one text each, without the directory."""

    def problems(*args: str | bytes, **others: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **others)
        return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]

    return problems
