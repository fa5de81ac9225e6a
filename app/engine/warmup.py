"""Warm-up: runs every batch size once, so that sampling kernels are compiled before the first request.

On a GPU vLLM compiles them for a number of sequences when it first samples so many, which takes two seconds.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable

import structlog

from app.engine.protocol import Delta, Generation, Kind, Sampling
from models.bundle import Bundle

log = structlog.get_logger(__name__)

Generate = Callable[[Generation], AsyncGenerator[Delta]]

_PROMPT = "Normal chest radiograph."


def generations(bundle: Bundle, count: int) -> list[Generation]:
    """The beginnings of `count` drawings, 1 to `count` tokens of each: started together, they run as every number of
    sequences from `count` down to one. Of more than an image has tokens, several end at once.
    """
    prompt = (*bundle.prompts.draw(_PROMPT), *bundle.prompts.image_opening())
    decoding = bundle.manifest.decoding.draw
    longest = min(count, bundle.image_tokens)
    samplings = (
        Sampling(decoding.temperature, decoding.top_p, 1 + number * longest // count, seed=number)
        for number in range(count)
    )
    return [Generation(f"warm-up-{uuid.uuid4().hex}", prompt, Kind.IMAGE, sampling) for sampling in samplings]


async def warm_up(generate: Generate, bundle: Bundle, count: int) -> None:
    """Run `generations` to their ends with an `Engine.generate`. Raises what that raises."""
    started = time.monotonic()
    await asyncio.gather(*(_run(generate, generation) for generation in generations(bundle, count)))
    log.info("engine warm", seconds=round(time.monotonic() - started, 1), sequences=count)


async def _run(generate: Generate, generation: Generation) -> None:
    async for _ in generate(generation):
        pass
