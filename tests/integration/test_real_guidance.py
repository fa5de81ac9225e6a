"""Guided drawings on the real engine have the ids of a plain loop over both prompts, whatever else runs."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import prometheus_client
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from app.engine import Generation, Guidance, Kind, Sampling
from app.engine.sampling import TokenDraw, sample
from app.errors import EngineDead, Overloaded, WorkerFailed
from app.ids import new_id
from app.settings import EngineSettings
from models import generate
from models.bundle import load
from tests.support.drawings import pixels

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = pytest.mark.engine
BUNDLE = load(Path(__file__).parents[2] / "models" / "bundles" / "demo")
PROMPTS, VOCABULARY = BUNDLE.prompts, BUNDLE.vocabulary
SAMPLING = Sampling(temperature=0.9, top_p=0.92, max_tokens=BUNDLE.image_tokens, seed=0)
CASES = [(1.5, 3), (2.0, 1), (2.0, 2), (4.0, 5)]
VIRAL = (*PROMPTS.draw("AP chest radiograph of a child. Viral pneumonia."), *PROMPTS.image_opening())
TIGHT: dict[str, Any] = {
    "enable_chunked_prefill": True,
    "max_num_batched_tokens": 32,
    "block_size": 32,
    "num_gpu_blocks_override": 45,
}


@cache
def _model() -> Any:
    return AutoModelForCausalLM.from_pretrained(BUNDLE.llm, dtype=torch.float32).eval()


@cache
def expected(scale: float, seed: int, kind: str = "before_image", temperature: float = 0.9) -> list[int]:
    """The ids by two forward passes a step; a scale of 1 without the second."""

    def choose(logits: Tensor, step: int) -> Tensor:
        image = logits[:, VOCABULARY.image_offset : VOCABULARY.size]
        draws = [TokenDraw(temperature, SAMPLING.top_p, seed)]
        return (image.argmax(-1) if temperature == 0.0 else sample(image, draws, [step])) + VOCABULARY.image_offset

    without = tuple(PROMPTS.unconditional(kind))  # type: ignore[arg-type]
    guidance = None if scale == 1.0 else generate.Guidance(scale, without)
    ids = generate.continue_prompts(
        _model(), [VIRAL], choose, BUNDLE.image_tokens, padding=VOCABULARY.padding, guidance=guidance
    )
    return [int(token) for token in ids[0]]


def drawing(scale: float, seed: int, kind: str = "before_image", temperature: float = 0.9) -> Generation:
    guidance = None if scale == 1.0 else Guidance(tuple(PROMPTS.unconditional(kind)), scale)  # type: ignore[arg-type]
    sampling = replace(SAMPLING, seed=seed, temperature=temperature)
    return Generation(new_id(), VIRAL, Kind.IMAGE, sampling, guidance=guidance)


def words(number: int, tokens: int = 60) -> Generation:
    sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=tokens, seed=number)
    return Generation(new_id(), tuple(PROMPTS.draw(f"Pneumonia {number}. " * 8)), Kind.TEXT, sampling)


async def ids_of(engine: Any, generation: Generation) -> list[int]:
    return [token async for delta in engine.generate(generation) for token in delta.ids]


@contextlib.asynccontextmanager
async def running(path: Path, slots: int = 8, **arguments: Any) -> AsyncIterator[Any]:
    """A started engine, with some of vLLM's arguments changed."""
    original = vllm.engine_arguments

    def changed(*given: Any) -> Any:
        made = original(*given)
        for name, value in arguments.items():
            setattr(made, name, value)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vllm, "engine_arguments", changed)
        engine = vllm.VllmEngine(BUNDLE, EngineSettings(enforce_eager=True, max_num_seqs=slots), path)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


def counted(name: str) -> float:
    """The newest engine's figure of vLLM's."""
    found = [
        sample.value
        for metric in prometheus_client.REGISTRY.collect()
        for sample in metric.samples
        if sample.name == name
    ]
    return found[-1]


async def check(engine: Any, cases: Sequence[tuple[float, int]], others: Sequence[Generation] = ()) -> None:
    """Draw all cases at once, with the others beside them."""
    found = await asyncio.gather(
        *(ids_of(engine, drawing(scale, seed)) for scale, seed in cases), *(ids_of(engine, other) for other in others)
    )
    for (scale, seed), ids in zip(cases, found, strict=False):
        assert ids == expected(scale, seed), (scale, seed)
    assert all(found)


async def until(reached: Any) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await asyncio.sleep(0.02)


async def test_ids_are_those_of_a_plain_loop_alone_and_in_company(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        for case in CASES:
            await check(engine, [case])
        for kind, temperature in (("empty", 0.9), ("before_image", 0.0)):
            ids = await ids_of(engine, drawing(3.0, 7, kind, temperature))
            assert ids == expected(3.0, 7, kind, temperature), (kind, temperature)
        plain = [(1.0, 11), (1.0, 12), (1.0, 13)]
        await check(engine, [(2.0, 1), *plain], [words(number) for number in range(3)])
        # More rows than slots.
        await check(engine, [*CASES, *plain], [words(number) for number in range(3)])


@pytest.mark.slow
async def test_ids_are_the_same_where_prompts_are_read_in_parts_and_rows_are_preempted(tmp_path: Path) -> None:
    async with running(tmp_path, **TIGHT) as engine:
        before = counted("vllm:num_preemptions_total")
        plain = [(1.0, 11), (1.0, 12), (1.0, 13)]
        await check(engine, [*CASES, *plain], [words(number, 200) for number in range(3)])
        assert counted("vllm:num_preemptions_total") > before


@pytest.mark.slow
async def test_a_consumer_that_leaves_frees_both_rows(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        for after in (0.0, 0.05, 0.5):
            leaving = asyncio.create_task(ids_of(engine, drawing(2.0, 1)))
            await asyncio.sleep(after)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await until(lambda: engine._llm.output_processor.get_num_unfinished_requests() == 0)
        async with contextlib.aclosing(engine.generate(drawing(2.0, 1))) as deltas:
            await anext(deltas)
            await anext(deltas)
            assert engine._llm.output_processor.get_num_unfinished_requests() == 2
        assert engine._llm.output_processor.get_num_unfinished_requests() == 0
        # All slots are free again, and nothing is left over.
        await check(engine, CASES)


async def test_a_drawing_whose_second_row_is_lost_fails_and_the_next_is_drawn(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        lost = drawing(2.0, 1)

        async def losing() -> None:
            async for _ in engine.generate(lost):
                await engine._llm.abort(f"{lost.request_id}-without")

        with pytest.raises(WorkerFailed, match="half of a guided drawing"):
            await losing()
        await check(engine, [(2.0, 1)])


@pytest.mark.slow
async def test_an_engine_that_is_closed_ends_a_guided_drawing(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        drawn = asyncio.create_task(ids_of(engine, drawing(2.0, 1)))
        await until(lambda: engine._llm.output_processor.get_num_unfinished_requests() == 2)
        await engine.close()
        with pytest.raises(EngineDead):
            await asyncio.wait_for(drawn, 10)


@pytest.mark.slow
async def test_a_full_queue_refuses_both_rows(tmp_path: Path) -> None:
    async with running(tmp_path, max_num_queued_reqs=3) as engine:
        first = asyncio.create_task(ids_of(engine, drawing(2.0, 1)))
        await until(lambda: engine._llm.output_processor.get_num_unfinished_requests() == 2)
        with pytest.raises(Overloaded):
            await ids_of(engine, drawing(2.0, 2))
        assert engine._llm.output_processor.get_num_unfinished_requests() == 2
        assert await first == expected(2.0, 1)


@pytest.mark.slow
async def test_a_pair_waits_in_a_full_engine_and_gets_in(tmp_path: Path) -> None:
    async with running(tmp_path, slots=3) as engine:
        early = [asyncio.create_task(ids_of(engine, words(number, 150))) for number in range(3)]
        await asyncio.sleep(0.3)
        late = [asyncio.create_task(ids_of(engine, words(10 + number, 20))) for number in range(6)]
        await check(engine, [(2.0, 1), (4.0, 5)])
        await asyncio.gather(*early, *late)


async def test_the_service_draws_guided_the_same_image_twice_and_edits_one(real) -> None:  # type: ignore[no-untyped-def]
    async with httpx.AsyncClient(base_url=real.url, timeout=120.0) as client:

        async def drawn(**fields: object) -> dict[str, Any]:
            response = await client.post("/v1/images/generations", json={"prompt": "Viral.", "seed": 3} | fields)
            assert response.status_code == 200, response.text
            return dict(response.json())

        plain, one, first, second = [await drawn(), *[await drawn(guidance_scale=scale) for scale in (1, 3, 3)]]
        assert pixels(plain) == pixels(one)
        assert pixels(first) == pixels(second) != pixels(plain)
        assert first["usage"]["output_tokens"] == 512
        form = {"prompt": "Viral.", "keep_rows": "12", "guidance_scale": "3"}
        image = base64.b64decode(first["data"][0]["b64_json"])
        edited = await client.post("/v1/images/edits", data=form, files={"image": image})
        assert edited.json()["usage"]["output_tokens"] == 2 * 64
