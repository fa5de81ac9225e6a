"""Evidence on the real engine: as likely as the model finds it, also where the prompt is in the prefix cache."""

import asyncio
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from app.engine import Generation, Kind, Sampling
from app.inference.generation import EVIDENCE
from app.settings import EngineSettings
from models.bundle import load
from models.evidence import commonest, regions, replaced

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = pytest.mark.engine
BUNDLE = load(Path(__file__).parents[2] / "models" / "bundles" / "demo")
TEXT = "FINDINGS: AP chest radiograph of a child. The lungs are clear.\nIMPRESSION: Normal chest radiograph."


def texts_likelihoods(prompts: list[tuple[int, ...]], count: int) -> list[float]:
    """By a plain forward pass, the log-probability of the last `count` ids together."""
    model = AutoModelForCausalLM.from_pretrained(BUNDLE.llm, dtype=torch.float32)
    found = []
    with torch.inference_mode():
        for prompt in prompts:
            scores = model(torch.tensor([prompt])).logits[0, -count - 1 : -1].log_softmax(-1)
            found.append(float(scores.gather(1, torch.tensor(prompt[-count:])[:, None]).sum()))
    return found


async def test_interventions_are_as_likely_as_by_the_model_itself(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, BUNDLE.vocabulary.codebook_size, 256).tolist()
    ids = BUNDLE.vocabulary.encode(TEXT)
    stand_in = [commonest(codes)] * len(codes)
    variants = [codes, *(replaced(codes, region, stand_in) for region in regions((16, 16)))]
    prompts = [(*BUNDLE.prompts.report(variant), *ids) for variant in variants]
    engine = vllm.VllmEngine(BUNDLE, EngineSettings(enforce_eager=True, max_num_seqs=16), tmp_path)
    await engine.start()
    try:
        # The engine has seen the text before it is scored.
        sampling = Sampling(0.0, 1.0, 4, 7)
        async for _ in engine.generate(Generation(uuid.uuid4().hex, prompts[0], Kind.TEXT, sampling)):
            pass

        async def scored() -> list[float]:
            found = await asyncio.gather(
                *(engine.log_likelihoods(uuid.uuid4().hex, one, len(ids), None, EVIDENCE) for one in prompts)
            )
            return [sum(each) for each in found]

        first, again = await scored(), await scored()
    finally:
        await engine.close()
    expected = texts_likelihoods(prompts[::8], len(ids))
    assert np.allclose(first[::8], expected, atol=0.02)
    assert np.allclose(again, first, atol=0.02)
