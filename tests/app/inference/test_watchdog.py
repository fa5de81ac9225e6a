"""A part that hangs is noticed; one that is only slow now and then, or full, is left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.errors import CxrError, EngineDead, Overloaded, Unavailable
from app.imaging import InlineReader
from app.inference.backend import Backend
from app.inference.lifecycle import Lifecycle, Phase
from app.inference.watchdog import Watchdog, outcome
from app.screening.fake import FakeScreen
from app.settings import ImagingSettings
from models.bundle import load
from models.bundles import DEMO_BUNDLE

_PERIOD = 0.01


def _probe(*outcomes: CxrError | None) -> Callable[[], Awaitable[None]]:
    """Each outcome once, then the last of them for ever."""
    left = list(outcomes)

    async def probe() -> None:
        found = left.pop(0) if len(left) > 1 else left[0]
        if found is not None:
            raise found

    return probe


HUNG = Unavailable("The engine did not answer in time.")


@pytest.mark.parametrize("error", [HUNG, EngineDead("gone")])
async def test_a_part_that_fails_as_often_in_a_row_as_it_may_is_named(error: CxrError) -> None:
    probes = {"codec": _probe(None), "engine": _probe(None, error)}
    async with asyncio.timeout(5.0):
        assert await Watchdog(probes, 3, _PERIOD).watch() == "engine"


@pytest.mark.parametrize("outcomes", [(None,), (HUNG, HUNG, None, HUNG, HUNG, None), (Overloaded("full"),)])
async def test_a_part_that_answers_in_between_is_left_alone(outcomes: tuple[CxrError | None, ...]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await Watchdog({"engine": _probe(*outcomes)}, 3, _PERIOD).watch()


async def test_a_probe_that_never_ends_is_a_failed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inference.watchdog.PROBE_LIMIT_SECONDS", 0.01)
    assert await outcome(asyncio.Event().wait) == "timeout"


async def _started(engine: FakeEngine) -> Lifecycle:
    bundle = load(DEMO_BUNDLE)
    image = bundle.manifest.image
    codec = FakeCodec(size=image.size, grid=image.grid, codebook_size=bundle.manifest.vocabulary.codebook_size)

    async def build() -> Backend:
        return Backend(bundle, InlineReader(ImagingSettings(), image.size), codec, engine, FakeScreen())

    lifecycle = Lifecycle(build, max_failed_probes=3, probe_period_seconds=_PERIOD)
    lifecycle.start()
    await lifecycle.settled.wait()
    return lifecycle


async def test_an_engine_that_hangs_fails_the_service_and_one_that_goes_on_does_not() -> None:
    engine = FakeEngine(load(DEMO_BUNDLE).vocabulary)
    lifecycle = await _started(engine)
    engine.hangs = True
    await asyncio.sleep(2 * _PERIOD)
    engine.hangs = False
    await asyncio.sleep(10 * _PERIOD)
    assert lifecycle.phase is Phase.READY
    engine.hangs = True
    async with asyncio.timeout(5.0):
        await lifecycle.failed.wait()
    assert lifecycle.phase is Phase.FAILED
    await lifecycle.close()
