"""GPT-NeoX by the project's own class on the real engine: the ids of a plain loop, alone and in a mixed batch."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from transformers import AutoModelForCausalLM

from app.engine import Generation, Kind, Sampling
from app.ids import new_id
from app.settings import EngineSettings
from models.bundle import load

vllm = pytest.importorskip("app.engine.vllm", reason="vLLM is not installed", exc_type=ImportError)
pytestmark = [pytest.mark.engine, pytest.mark.slow]
BUNDLE = load(Path(__file__).parents[2] / "models" / "bundles" / "demo")
PROMPT = tuple(BUNDLE.prompts.instruct("Write a report on a normal chest."))
TOKENS = 24
WINDOWS = {
    Kind.TEXT: (0, BUNDLE.vocabulary.text_size),
    Kind.IMAGE: (BUNDLE.vocabulary.image_offset, BUNDLE.vocabulary.size),
    Kind.ANY: (0, BUNDLE.vocabulary.size),
}


def likeliest(kind: Kind) -> list[int]:
    """Ids by one forward pass of the Transformers library's model a step."""
    model: Any = AutoModelForCausalLM.from_pretrained(BUNDLE.llm, dtype=torch.float32).eval()
    low, high = WINDOWS[kind]
    banned = BUNDLE.vocabulary.controls - {BUNDLE.vocabulary.end} if kind is Kind.TEXT else ()
    ids = list(PROMPT)
    with torch.no_grad():
        while len(ids) < len(PROMPT) + TOKENS and ids[len(PROMPT) :][-1:] != [BUNDLE.vocabulary.end]:
            logits = model(torch.tensor([ids])).logits[0, -1]
            logits[list(banned)] = float("-inf")
            ids.append(low + int(logits[low:high].argmax()))
    return ids[len(PROMPT) :]


async def deltas(engine: Any, kind: Kind, temperature: float) -> list[tuple[int, ...]]:
    sampling = Sampling(temperature=temperature, top_p=0.92, max_tokens=TOKENS, seed=5)
    return [delta.ids async for delta in engine.generate(Generation(new_id(), PROMPT, kind, sampling))]


async def generated(engine: Any, kind: Kind, temperature: float) -> list[int]:
    return [token for ids in await deltas(engine, kind, temperature) for token in ids]


@pytest.mark.parametrize("model_class", ["own", "transformers"])
async def test_ids_are_those_of_a_plain_loop_whatever_else_is_in_the_batch(
    tmp_path: Path, model_class: Literal["own", "transformers"]
) -> None:
    engine = vllm.VllmEngine(BUNDLE, EngineSettings(enforce_eager=True, model_class=model_class), tmp_path)
    await engine.start()
    try:
        alone = {kind: await generated(engine, kind, 0.9) for kind in WINDOWS}
        mixed = await asyncio.gather(*(generated(engine, kind, 0.9) for kind in WINDOWS))
        greedy = {kind: await generated(engine, kind, 0.0) for kind in WINDOWS}
        rows = [len(ids) for ids in await deltas(engine, Kind.IMAGE, 0.9)]
    finally:
        await engine.close()
    # The first id says that it has begun; then come whole rows.
    assert rows == [1, 16, TOKENS - 17]
    assert dict(zip(WINDOWS, mixed, strict=True)) == alone
    assert {kind: ids[:TOKENS] for kind, ids in greedy.items()} == {kind: likeliest(kind) for kind in WINDOWS}


async def test_a_later_start_loads_what_the_first_compiled(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        engine = vllm.VllmEngine(BUNDLE, EngineSettings(model_class="own"), tmp_path)
        await engine.start()
        try:
            ids = await generated(engine, Kind.IMAGE, 0.9)
        finally:
            await engine.close()
        # vLLM writes it again when it cannot load it.
        (model,) = tmp_path.glob("*/vllm/torch_compile_cache/torch_aot_compile/*/rank_0_0/model")
        found.append((ids, model.stat().st_mtime_ns))
    assert found[0] == found[1]
