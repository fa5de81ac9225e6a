"""Marked drawings on the real engine have the ids of a plain loop that adds the mark, alone, guided and as an edit."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.engine import Guidance, Marking
from app.engine.sampling import TokenDraw, sample
from models import generate
from models.watermark import Watermark
from tests.integration import test_real_guidance as plain

pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = pytest.mark.engine
MARK = Watermark(b"a key of sixteen or more", 2.0)
VOCABULARY, LENGTH = plain.VOCABULARY, plain.BUNDLE.image_tokens
WITHOUT = tuple(plain.PROMPTS.before_image())


def expected(seed: int, scale: float = 1.0, first: int = 0) -> list[int]:
    """The ids by forward passes of PyTorch's model."""

    def choose(logits: Tensor, step: int) -> Tensor:
        image = logits[:, VOCABULARY.image_offset : VOCABULARY.size]
        image = image + torch.from_numpy(MARK.bias([first + step], VOCABULARY.codebook_size))
        return sample(image, [TokenDraw(0.9, plain.SAMPLING.top_p, seed)], [step]) + VOCABULARY.image_offset

    guidance = None if scale == 1.0 else generate.Guidance(scale, WITHOUT)
    ids = generate.continue_prompts(
        plain._model(), [plain.VIRAL], choose, LENGTH - first, padding=VOCABULARY.padding, guidance=guidance
    )
    return [int(token) for token in ids[0]]


@pytest.mark.slow
async def test_marked_ids_are_those_of_a_plain_loop_and_others_beside_them_stay(tmp_path: Path) -> None:
    cases = [(1, 1.0, 0), (2, 2.0, 0), (3, 1.0, 64)]
    marked = [
        replace(
            plain.drawing(1.0, seed),
            guidance=None if scale == 1.0 else Guidance(WITHOUT, scale),
            sampling=replace(plain.SAMPLING, seed=seed, max_tokens=LENGTH - first),
            marking=Marking(MARK, first),
        )
        for seed, scale, first in cases
    ]
    async with plain.running(tmp_path) as engine:
        beside = [plain.drawing(1.0, 11), plain.drawing(2.0, 1), plain.words(0)]
        found = await asyncio.gather(*(plain.ids_of(engine, one) for one in [*marked, *beside]))
    for (seed, scale, first), ids in zip(cases, found, strict=False):
        assert ids == expected(seed, scale, first), (seed, scale, first)
    assert found[3] == plain.expected(1.0, 11)
    assert found[4] == plain.expected(2.0, 1)
    codes = VOCABULARY.codes(found[0])
    assert MARK.detect(codes, VOCABULARY.codebook_size).p_value < 1e-6
    assert MARK.detect(VOCABULARY.codes(found[3]), VOCABULARY.codebook_size).p_value > 1e-4
