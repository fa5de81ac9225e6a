"""The language model's opinion of an image and of an answer, as vLLM gives it and as PyTorch does."""

import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from app.engine import Generation, Kind, Sampling
from app.settings import EngineSettings
from models.bundle import load
from models.findings.yes_no import YesNo

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = pytest.mark.engine
BUNDLE = load(Path(__file__).parents[2] / "models" / "bundles" / "demo")


async def test_vllm_finds_codes_and_answers_as_likely_as_the_model_does(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, BUNDLE.vocabulary.codebook_size, 256).tolist()
    head = BUNDLE.prompts.before_image()
    prompt = (*head, *BUNDLE.vocabulary.image_ids(codes))
    asked = tuple(BUNDLE.prompts.answer(codes, "Is there pneumonia?"))
    words = YesNo.beginnings(BUNDLE.prompts)
    engine = vllm.VllmEngine(BUNDLE, EngineSettings(enforce_eager=True, max_num_seqs=2), tmp_path)
    await engine.start()
    try:
        found = await engine.log_likelihoods(uuid.uuid4().hex, prompt, len(codes))
        again = await engine.log_likelihoods(uuid.uuid4().hex, prompt, len(codes))
        # Drawn and not, and with what the prefix cache has of the prompt.
        scored = []
        for temperature in (0.9, 0.0):
            sampling = Sampling(temperature, 0.9, 4, 7)
            generation = Generation(uuid.uuid4().hex, asked, Kind.TEXT, sampling, scored=words.ids)
            deltas = [delta async for delta in engine.generate(generation)]
            assert not any(delta.log_likelihoods for delta in deltas[1:])
            scored.append(deltas[0].log_likelihoods)
        generation = Generation(uuid.uuid4().hex, asked, Kind.TEXT, Sampling(0.9, 1.0, 6, 7), top_logprobs=5)
        told = [delta async for delta in engine.generate(generation)]
    finally:
        await engine.close()
    model = AutoModelForCausalLM.from_pretrained(BUNDLE.llm, dtype=torch.float32)
    with torch.inference_mode():
        logits = model(torch.tensor([prompt])).logits[0, len(head) - 1 : -1].log_softmax(-1)
        answer = model(torch.tensor([asked])).logits[0, -1].log_softmax(-1)
        drawn = [token for delta in told for token in delta.ids]
        likely = model(torch.tensor([[*asked, *drawn]])).logits[0, len(asked) - 1 : -1].log_softmax(-1)
    expected = [float(row[token]) for row, token in zip(logits, prompt[len(head) :], strict=True)]
    assert np.allclose(found, expected, atol=0.05)
    # The second time the prompt's first block is read from the prefix cache, and the rest computed in another shape.
    assert np.allclose(found, again, atol=1e-3)
    differences = [first - second for first, second in scored]
    assert np.allclose(differences, float(answer[words.yes] - answer[words.no]), atol=0.05)
    places = [place for delta in told for place in delta.places]
    assert len(places) == len(drawn)
    for token, place, row in zip(drawn, places, likely, strict=True):
        assert np.isclose(place.logprob, float(row[token]), atol=0.05)
        assert np.allclose([logprob for _, logprob in place.top], row.topk(5).values.tolist(), atol=0.05)
