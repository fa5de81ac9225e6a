"""The readiness probe: whether every part of the service answers."""

import asyncio
import tempfile
import time
from pathlib import Path

from app.inference.backend import Backend
from app.inference.lifecycle import Lifecycle, Phase
from app.inference.watchdog import Probe, outcome

_FRESH_SECONDS = 2.0


class ReadinessProbe:
    """Probes every part, at most once in `_FRESH_SECONDS`: all requests share the outcome."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._parts: dict[str, str] = {}

    async def parts(self, lifecycle: Lifecycle, state_dir: Path) -> dict[str, str]:
        """`ok`, or what is wrong, by part."""
        backend = lifecycle.backend
        if lifecycle.phase is not Phase.READY or backend is None:
            return {"service": lifecycle.phase.value}
        async with self._lock:
            if time.monotonic() >= self._until:
                self._parts = await self._probe(backend, state_dir)
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._parts

    async def _probe(self, backend: Backend, state_dir: Path) -> dict[str, str]:
        probes: dict[str, Probe] = {**backend.probes, "state_dir": lambda: asyncio.to_thread(_write, state_dir)}
        found = await asyncio.gather(*(_outcome(probe) for probe in probes.values()))
        return dict(zip(probes, found, strict=True))


async def _outcome(probe: Probe) -> str:
    try:
        return await outcome(probe)
    except OSError:
        return "not writable"


def _write(state_dir: Path) -> None:
    # Without a name: replicas share the folder.
    with tempfile.TemporaryFile(dir=state_dir) as probe:
        probe.write(b"ok")
