"""What systemd is told, and the unit that it is told by."""

import asyncio
import configparser
import contextlib
import signal
import socket
from pathlib import Path

import pytest

from app.server.run import Server
from app.server.systemd import notify
from app.settings import Settings
from tests.support.service import ROOT, Service


async def test_ready_and_stopping_are_told_where_they_are_asked_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        free = settings.model_copy(update={"port": 0})
        server = Server(Service(free).app, free)
        serving = asyncio.create_task(server.serve())
        assert await asyncio.to_thread(listener.recv, 99) == b"READY=1"
        signal.raise_signal(signal.SIGHUP)
        assert await asyncio.to_thread(listener.recv, 99) == b"STOPPING=1"
        assert await serving == 0


def test_without_a_socket_or_with_one_that_is_gone_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody-listens")
    notify("READY=1")


def test_the_unit_lets_the_gateway_drain_before_the_engine_ends() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "systemd" / "llm-cxr.service")
    service = unit["Service"]
    assert (service["Type"], service["KillMode"]) == ("notify", "mixed")
    assert int(service["TimeoutStopSec"]) > 60
