"""The best of several on the real engine and codec: what is kept is what PyTorch and reports on each candidate say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM

from app.codec.worker import VqganCodec
from app.imaging import InlineReader
from app.inference import pipelines
from app.inference.backend import Backend
from app.inference.choosing import agrees, rank
from app.inference.events import Drawing, Reading
from app.inference.generation import Options
from app.screening.fake import FakeScreen
from app.settings import CodecSettings, EngineSettings, ImagingSettings
from app.telemetry.timings import Timings
from models.bundle import load
from tests.support.drawings import pixels

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = pytest.mark.engine
BUNDLE = load(Path(__file__).parents[2] / "models" / "bundles" / "demo")
ASKED = "AP chest radiograph of a child. Viral pneumonia."


@cache
def _model() -> Any:
    return AutoModelForCausalLM.from_pretrained(BUNDLE.llm, dtype=torch.float32).eval()


@contextlib.asynccontextmanager
async def running(path: Path) -> AsyncIterator[Backend]:
    """The embedded bundle, served by the real engine and the real codec."""
    engine = vllm.VllmEngine(BUNDLE, EngineSettings(enforce_eager=True, max_num_seqs=8), path)
    codec = VqganCodec(BUNDLE, CodecSettings())
    await asyncio.gather(engine.start(), codec.start())
    try:
        yield Backend(BUNDLE, InlineReader(ImagingSettings(), BUNDLE.manifest.image.size), codec, engine, FakeScreen())
    finally:
        await engine.close()
        await codec.close()


async def read_alone(backend: Backend, drawing: Drawing) -> Reading:
    """What a report says of the drawing's pixels, and how likely PyTorch finds the request behind them."""
    codes = await backend.codec.encode(drawing.pixels)
    report = await pipelines.report_on(backend, codes, Options(temperature=0.0))
    return Reading(report.text, agrees(ASKED, report.text), likelihood(codes))


def likelihood(codes: Sequence[int]) -> float:
    head, ids = BUNDLE.prompts.report(codes), BUNDLE.vocabulary.encode(ASKED)
    with torch.inference_mode():
        logits = _model()(torch.tensor([[*head, *ids]])).logits[0, len(head) - 1 : -1].log_softmax(-1)
    return float(torch.stack([row[token] for row, token in zip(logits, ids, strict=True)]).mean())


@pytest.mark.slow
async def test_the_best_of_the_candidates_is_kept_and_its_seed_draws_it_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as backend:
        for scale in (1.0, 2.0):
            options = Options(seed=20, best_of=3, guidance_scale=scale)
            drawings = await pipelines.draw(backend, ASKED, options, Timings(), 2)
            for number, chosen in enumerate(drawings):
                seeds = [20 + 3 * number + candidate for candidate in range(3)]
                alone = [
                    (await pipelines.draw(backend, ASKED, Options(seed=seed, guidance_scale=scale), Timings()))[0]
                    for seed in seeds
                ]
                readings = [await read_alone(backend, drawing) for drawing in alone]
                best = max(range(3), key=lambda candidate: rank(readings[candidate]))
                assert chosen.reading is not None
                assert (chosen.seed, chosen.codes) == (seeds[best], alone[best].codes), (scale, number, readings)
                assert (chosen.reading.text, chosen.reading.agrees) == (readings[best].text, readings[best].agrees)
                assert chosen.reading.log_likelihood == pytest.approx(readings[best].log_likelihood, abs=0.05)


async def test_the_service_returns_the_best_of_four_and_frees_all_slots(real) -> None:  # type: ignore[no-untyped-def]
    body = {"prompt": ASKED, "seed": 3, "best_of": 4, "guidance_scale": 2}
    async with httpx.AsyncClient(base_url=real.url, timeout=120.0) as client:
        left = asyncio.create_task(client.post("/v1/images/generations", json=body))
        await asyncio.sleep(1.0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        response = await client.post("/v1/images/generations", json=body)
        assert response.status_code == 200, response.text
        best = response.json()
        (item,) = best["data"]
        assert item["reading"]["text"]
        alone = {"prompt": ASKED, "seed": item["seed"], "guidance_scale": 2}
        assert pixels((await client.post("/v1/images/generations", json=alone)).json()) == pixels(best)
        lines = (await client.get("/metrics")).text.splitlines()
        assert any(line.startswith("vllm:num_requests_running{") and line.endswith(" 0.0") for line in lines)
