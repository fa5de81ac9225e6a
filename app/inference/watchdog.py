"""Watches for parts that live but no longer answer: a hung process does not end, and no supervisor sees that."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from app.errors import CxrError, Overloaded
from app.telemetry.metrics import PROBES_FAILED

log = structlog.get_logger(__name__)

Probe = Callable[[], Awaitable[object]]
PROBE_LIMIT_SECONDS = 30.0


async def outcome(probe: Probe) -> str:
    """`ok`, or the code of what is wrong. A probe that does not end is `timeout`; a full queue is a sign of life."""
    try:
        async with asyncio.timeout(PROBE_LIMIT_SECONDS):
            await probe()
    except Overloaded:
        return "ok"
    except CxrError as error:
        return error.code
    except TimeoutError:
        return "timeout"
    return "ok"


class Watchdog:
    """Probes parts by name every `period_seconds`; one that fails `most_failed` times in a row is taken to hang."""

    def __init__(self, probes: Mapping[str, Probe], most_failed: int, period_seconds: float) -> None:
        self._probes = probes
        self._most_failed = most_failed
        self._period_seconds = period_seconds

    async def watch(self) -> str:
        """The name of the first part that hangs; waits until one does."""
        async with asyncio.TaskGroup() as group:
            hung: asyncio.Queue[str] = asyncio.Queue()
            watches = [group.create_task(self._watch(name, probe, hung)) for name, probe in self._probes.items()]
            found = await hung.get()
            for watch in watches:
                watch.cancel()
        return found

    async def _watch(self, name: str, probe: Probe, hung: "asyncio.Queue[str]") -> None:
        failed = 0
        while failed < self._most_failed:
            await asyncio.sleep(self._period_seconds)
            found = await outcome(probe)
            if found == "ok":
                failed = 0
                continue
            failed += 1
            PROBES_FAILED.labels(part=name).inc()
            log.warning("a part did not answer", part=name, code=found, failed=failed, most=self._most_failed)
        hung.put_nowait(name)
