"""Two real engines behind one: the same ids wherever a request goes, and a clear end where one of them dies."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import prometheus_client
import psutil
import pytest

from app.engine import Generation
from app.errors import EngineDead, GenerationAborted
from app.settings import EngineSettings
from tests.integration.test_real_guidance import BUNDLE, drawing, expected, ids_of

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Any]:
    settings = EngineSettings(enforce_eager=True, max_num_seqs=8, data_parallel_size=2)
    made = vllm.VllmEngine(BUNDLE, settings, tmp_path)
    await made.start()
    yield made
    await made.close()


def finished() -> Counter[str]:
    """Requests that ended as they should, by engine, by vLLM's metric."""
    found: Counter[str] = Counter()
    for metric in prometheus_client.REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == "vllm:request_success_total":
                found[sample.labels["engine"]] += int(sample.value)
    return found


async def test_ids_are_the_same_at_either_engine_guided_or_not(engine: Any) -> None:
    before = finished()
    cases = [(1.0, 7), (1.0, 7), (2.0, 1), (2.0, 1), (1.0, 3), (1.0, 7)]
    found = await asyncio.gather(*(ids_of(engine, drawing(scale, seed)) for scale, seed in cases))
    for (scale, seed), ids in zip(cases, found, strict=True):
        assert ids == expected(scale, seed), (scale, seed)
    # Six drawings, two of them with two rows.
    assert finished() - before == {"0": 4, "1": 4}
    await engine.probe()


async def test_all_ends_in_words_where_one_engine_dies(engine: Any) -> None:
    cores = [child for child in psutil.Process().children(recursive=True) if "EngineCore" in " ".join(child.cmdline())]
    assert len(cores) == 2, [child.cmdline() for child in psutil.Process().children(recursive=True)]
    begun = asyncio.Event()

    async def draw(generation: Generation) -> None:
        async for _ in engine.generate(generation):
            begun.set()

    drawings = [asyncio.create_task(draw(drawing(1.0, seed))) for seed in range(6)]
    await begun.wait()
    os.kill(cores[0].pid, signal.SIGKILL)
    ends = await asyncio.wait_for(asyncio.gather(*drawings, return_exceptions=True), 60)
    assert all(isinstance(end, EngineDead | GenerationAborted) for end in ends), ends
    assert not engine.alive
    with pytest.raises(EngineDead):
        await ids_of(engine, drawing(1.0, 9))
