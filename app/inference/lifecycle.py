"""From start to stop: what runs, whether requests are served, and why not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from app.errors import CxrError, FatalError, Unavailable
from app.inference.backend import Backend
from app.inference.watchdog import Watchdog
from app.telemetry.metrics import READY, STARTED

log = structlog.get_logger(__name__)

_WATCH_SECONDS = 1.0


class Phase(StrEnum):
    """Where the service is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


_NEXT: dict[Phase, frozenset[Phase]] = {
    Phase.STARTING: frozenset({Phase.READY, Phase.FAILED, Phase.DRAINING}),
    Phase.READY: frozenset({Phase.DRAINING, Phase.FAILED}),
    Phase.DRAINING: frozenset({Phase.FAILED}),
    Phase.FAILED: frozenset(),
}
_WORDS = {
    Phase.STARTING: "The service is starting.",
    Phase.DRAINING: "The service is shutting down.",
    Phase.FAILED: "A part of the service has stopped.",
}


class Lifecycle:
    """Starts the backend in the background, watches that its parts live, and stops them."""

    def __init__(
        self, build: Callable[[], Awaitable[Backend]], max_failed_probes: int = 4, probe_period_seconds: float = 5.0
    ) -> None:
        self._build = build
        self._max_failed_probes = max_failed_probes
        self._probe_period_seconds = probe_period_seconds
        self._backend: Backend | None = None
        self._task: asyncio.Task[None] | None = None
        self._built = False
        self.phase = Phase.STARTING
        self.settled = asyncio.Event()
        self.failed = asyncio.Event()

    @property
    def backend(self) -> Backend | None:
        """The backend, once built."""
        return self._backend

    def backend_when_ready(self) -> Backend:
        """The backend. Raises Unavailable before they are ready, and after they are closed.

        While it drains, the service serves what still reaches it.
        """
        if self.phase not in (Phase.READY, Phase.DRAINING) or self._backend is None or not self._built:
            raise self.unavailable()
        return self._backend

    def unavailable(self) -> Unavailable:
        """Why nothing is served, as the error that a request gets."""
        return Unavailable(_WORDS.get(self.phase, "The service is not ready."))

    def _enter(self, phase: Phase) -> None:
        if phase is self.phase or phase not in _NEXT[self.phase]:
            return
        self.phase = phase
        READY.set(1 if phase is Phase.READY else 0)
        log.info("phase", phase=phase.value)
        if phase in (Phase.READY, Phase.FAILED):
            self.settled.set()
        if phase is Phase.FAILED:
            self.failed.set()

    def start(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Begin starting, with `before` first; returns at once."""
        READY.set(0)
        self._task = asyncio.create_task(self._run(before))

    async def _run(self, before: Callable[[], Awaitable[None]] | None) -> None:
        try:
            if before is not None:
                await before()
            self._backend = await self._build()
            backend = self._backend
            await backend.reader.start()
            await backend.codec.start()
            await backend.screen.start()
            await backend.engine.start()
        except CxrError as error:
            log.error("start failed", code=error.code, detail=error.detail)
            self._enter(Phase.FAILED)
            return
        except Exception as error:
            # Anything else is a defect or a broken installation; starting for ever would hide it.
            log.error("start failed", exc_info=error)
            self._enter(Phase.FAILED)
            return
        self._built = True
        STARTED.set(time.time())
        self._enter(Phase.READY)
        hung = asyncio.create_task(self._hung(backend))
        try:
            while not hung.done() and backend.engine.alive and backend.codec.alive and backend.reader.alive:
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            hung.cancel()
        self.fail()

    async def _hung(self, backend: Backend) -> None:
        """Ends when a part lives and does not answer any more. The decoders' pool watches over its own processes, and
        so does what runs parts elsewhere.
        """
        watched = backend.probes.keys() - {"decoders", *backend.elsewhere}
        probes = {part: probe for part, probe in backend.probes.items() if part in watched}
        found = await Watchdog(probes, self._max_failed_probes, self._probe_period_seconds).watch()
        log.error("a part hangs", part=found, probes=self._max_failed_probes)

    def fail(self) -> None:
        """Note that a part is gone for good: readiness ends and the process is to be replaced."""
        self._enter(Phase.FAILED)

    def note(self, error: BaseException) -> None:
        """Note an error that a request met."""
        if isinstance(error, FatalError):
            self.fail()

    def drain(self) -> None:
        """End readiness: balancers are to send nothing new."""
        self._enter(Phase.DRAINING)

    async def close(self) -> None:
        """Stop serving and stop every part."""
        self.drain()
        self._built = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._backend is not None:
            await self._backend.engine.close()
            await self._backend.screen.close()
            await self._backend.codec.close()
            self._backend.reader.close()
