"""The probability of yes is how often the real engine says yes."""

import asyncio
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from app.engine import Generation, Kind, Sampling
from app.ids import new_id
from app.settings import EngineSettings
from models.bundle import load
from models.findings.yes_no import YesNo, probability_of_yes

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = [pytest.mark.engine, pytest.mark.slow]
BUNDLE = load(Path(__file__).parents[2] / "models" / "bundles" / "demo")
QUESTIONS, SAMPLES = 20, 100
# A binomial count is within so many standard deviations in all of 20 questions but once in ten thousand runs.
_DEVIATIONS = 4.6


async def test_sampled_answers_say_yes_as_often_as_the_probability_says(tmp_path: Path) -> None:
    words = YesNo.beginnings(BUNDLE.prompts)
    draws = np.random.default_rng(3)
    engine = vllm.VllmEngine(BUNDLE, EngineSettings(enforce_eager=True), tmp_path)
    await engine.start()

    async def first(prompt: tuple[int, ...], seed: int) -> tuple[int, tuple[float, ...]]:
        sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=1, seed=seed)
        generation = Generation(new_id(), prompt, Kind.TEXT, sampling, scored=words.ids)
        (delta,) = [delta async for delta in engine.generate(generation)]
        return delta.ids[0], delta.log_likelihoods

    try:
        probabilities, shares = [], []
        for number in range(QUESTIONS):
            # Codes by chance leave the model unsure.
            codes = draws.integers(0, BUNDLE.vocabulary.codebook_size, BUNDLE.image_tokens).tolist()
            finding = BUNDLE.manifest.findings[number % len(BUNDLE.manifest.findings)]
            prompt = tuple(BUNDLE.prompts.answer(codes, finding.question))
            found = await asyncio.gather(*(first(prompt, 1_000 * number + sample) for sample in range(SAMPLES)))
            said = Counter(token for token, _ in found)
            probability = probability_of_yes(*found[0][1])
            count = said[words.yes] + said[words.no]
            spread = (count * probability * (1 - probability)) ** 0.5
            assert abs(said[words.yes] - count * probability) <= _DEVIATIONS * spread + 1.0, finding.question
            probabilities.append(probability)
            shares.append(count / SAMPLES)
    finally:
        await engine.close()
    assert min(shares) > 0.5
    assert min(probabilities) < 0.4 < 0.6 < max(probabilities)
