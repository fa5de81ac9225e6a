"""The jobs of the service, each as one function: bytes or text in, a result out. READ THIS FIRST.

report:  bytes -> radiograph -> codes -> prompt -> text
answers: bytes -> radiograph -> codes -> prompts -> texts
draw:    text -> prompt -> codes -> radiograph
"""

import asyncio
import secrets
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from app.engine import Kind, Sampling
from app.engine.protocol import FinishReason
from app.errors import WorkerFailed
from app.generation import Caller, Options, Usage, collect, stream
from app.imaging import Radiograph
from app.services import Services
from app.telemetry import metrics
from app.telemetry.timings import Timings
from models.prompts import DRAW_INSTRUCTION, REPORT_INSTRUCTION

T = TypeVar("T")
# The published code allows 300 new tokens for an image of 256.
_REFERENCE_ROOM = 44


@dataclass(frozen=True)
class Text:
    """A generated text."""

    text: str
    finish_reason: FinishReason
    seed: int
    usage: Usage


@dataclass(frozen=True)
class Drawing:
    """A generated radiograph: its codes and its pixels, uint8 (size, size)."""

    codes: tuple[int, ...]
    pixels: np.ndarray
    seed: int
    usage: Usage


@dataclass(frozen=True)
class Reading:
    """A radiograph as the model reads it."""

    radiograph: Radiograph
    codes: tuple[int, ...]
    timings: Timings = field(default_factory=Timings)


async def read(services: Services, data: bytes, timings: Timings) -> Reading:
    """Decode an uploaded image and tokenise it. Raises InputError, Overloaded, WorkerFailed, CodecDead."""
    with timings.stage("decode"):
        radiograph = await services.reader.read(data)
    with timings.stage("encode"):
        codes = await services.codec.encode(radiograph.pixels)
    metrics.IMAGE_TOKENS.labels(direction="in").inc(len(codes))
    return Reading(radiograph, tuple(codes), timings)


async def report(
    services: Services, data: bytes, options: Options, instruction: str | None = None
) -> tuple[Reading, Text]:
    """Job 1: a report on a radiograph."""
    reading = await read(services, data, Timings())
    return reading, await report_on(services, reading.codes, options, instruction, reading.timings)


async def report_on(
    services: Services,
    codes: Sequence[int],
    options: Options,
    instruction: str | None = None,
    timings: Timings | None = None,
) -> Text:
    """A report on a radiograph that is encoded already."""
    prompt = services.bundle.prompts.report(codes, instruction or REPORT_INSTRUCTION)
    sampling = options.sampling(services.bundle.manifest.decoding.report)
    timings = timings or Timings()
    with timings.stage("generate"):
        return await _write(services, prompt, sampling, options.caller, timings)


async def answers(
    services: Services, data: bytes, questions: Sequence[str], options: Options
) -> tuple[Reading, list[Text]]:
    """Job 1, asked: answers about one radiograph, which is encoded once."""
    reading = await read(services, data, Timings())
    prompts = [services.bundle.prompts.answer(reading.codes, question) for question in questions]
    defaults = services.bundle.manifest.decoding.answer
    with reading.timings.stage("generate"):
        texts = await together(
            _write(services, prompt, options.sampling(defaults, index=index), options.caller, reading.timings)
            for index, prompt in enumerate(prompts)
        )
    return reading, texts


async def draw(
    services: Services, text: str, options: Options, count: int = 1, instruction: str | None = None
) -> tuple[list[Drawing], Timings]:
    """Job 2: radiographs of what a text describes; seeds of several count up from the first."""
    timings = Timings()
    bundle = services.bundle
    prompt = bundle.prompts.draw(text, instruction or DRAW_INSTRUCTION)
    first = options if options.seed is not None else replace(options, seed=secrets.randbits(31))
    samplings = [
        first.sampling(bundle.manifest.decoding.draw, tokens=bundle.image_tokens, index=index) for index in range(count)
    ]
    drawings = await together(_draw_one(services, prompt, sampling, options.caller, timings) for sampling in samplings)
    return drawings, timings


async def _draw_one(
    services: Services, prompt: list[int], sampling: Sampling, caller: Caller, timings: Timings
) -> Drawing:
    with timings.stage("generate"), metrics.DRAWINGS_IN_FLIGHT.track_inprogress():
        codes = await _image_codes(services, prompt, sampling, caller, timings)
    with timings.stage("detokenise"):
        pixels = await services.codec.decode(codes)
    metrics.IMAGE_TOKENS.labels(direction="out").inc(len(codes))
    return Drawing(tuple(codes), pixels, sampling.seed, Usage(len(prompt), 0, len(codes)))


async def _image_codes(
    services: Services, prompt: list[int], sampling: Sampling, caller: Caller, timings: Timings
) -> list[int]:
    """The codes of one image: masked, in one pass; or, as the published code, unmasked until an attempt holds exactly
    one image's ids, with seeds that count up. Raises WorkerFailed where no attempt does.
    """
    vocabulary = services.bundle.vocabulary
    if not services.reference_attempts:
        opened = prompt + services.bundle.prompts.image_opening()
        ids, _ = await collect(stream(services, opened, Kind.IMAGE, sampling, caller, timings))
        return vocabulary.codes(ids)
    for attempt in range(services.reference_attempts):
        trial = replace(sampling, seed=sampling.seed + attempt, max_tokens=sampling.max_tokens + _REFERENCE_ROOM)
        ids, _ = await collect(stream(services, prompt, Kind.ANY, trial, caller, timings))
        found = [token for token in ids if token >= vocabulary.image_offset]
        if len(found) == services.bundle.image_tokens:
            return vocabulary.codes(found)
    raise WorkerFailed(f"none of {services.reference_attempts} unconstrained attempts drew a whole image")


async def _write(services: Services, prompt: list[int], sampling: Sampling, caller: Caller, timings: Timings) -> Text:
    kind = Kind.ANY if services.reference_attempts else Kind.TEXT
    ids, reason = await collect(stream(services, prompt, kind, sampling, caller, timings))
    metrics.TEXT_TOKENS.inc(len(ids))
    usage = Usage(len(prompt), services.bundle.image_tokens, len(ids))
    return Text(services.bundle.vocabulary.decode(ids).strip(), reason, sampling.seed, usage)


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """Results of several awaitables in order; where one fails the others are cancelled and its error is raised."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
