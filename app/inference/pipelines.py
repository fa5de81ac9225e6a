"""The jobs of the service, each as one function: bytes or text in, a result out. READ THIS FIRST.

report:  bytes -> radiograph -> codes -> prompt -> text
answers: bytes -> radiograph -> codes -> prompts -> texts
draw:    text -> prompt -> codes -> radiograph

Each tells what it has so far by `show`, which streams pass on and the others ignore.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from app.engine import Kind, Sampling
from app.engine.protocol import FinishReason
from app.ids import new_seed
from app.imaging import Radiograph
from app.inference.backend import Services
from app.inference.cache import ContentKey
from app.inference.drawing import Artist, Drawing
from app.inference.generation import Caller, Options, Show, Usage, nobody, stream
from app.telemetry import metrics
from app.telemetry.timings import Timings
from models.prompts import DRAW_INSTRUCTION, REPORT_INSTRUCTION

T = TypeVar("T")
_UNFINISHED_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class Text:
    """A generated text."""

    text: str
    finish_reason: FinishReason
    seed: int
    usage: Usage


@dataclass(frozen=True)
class Piece:
    """The next words of the `index`-th text."""

    index: int
    text: str


@dataclass(frozen=True)
class Reading:
    """A radiograph as the model reads it."""

    radiograph: Radiograph
    codes: tuple[int, ...]
    timings: Timings = field(default_factory=Timings)


async def read(services: Services, data: bytes, timings: Timings, caller: Caller | None = None) -> Reading:
    """Decode an uploaded image and tokenise it, or find that `caller` has sent it lately.

    Raises InputError, Overloaded, WorkerFailed, CodecDead.
    """
    key = None if caller is None else ContentKey.of(caller.cache_salt, data)
    known = None if key is None else services.readings.find(key)
    if known is not None:
        return replace(known, timings=timings)
    with timings.stage("decode"):
        radiograph = await services.reader.read(data)
    with timings.stage("encode"):
        codes = await services.codec.encode(radiograph.pixels)
    metrics.IMAGE_TOKENS.labels(direction="in").inc(len(codes))
    reading = Reading(radiograph, tuple(codes), timings)
    if key is not None:
        services.readings.keep(key, reading)
    return reading


async def report(
    services: Services, data: bytes, options: Options, instruction: str | None = None, show: Show = nobody
) -> tuple[Reading, Text]:
    """Job 1: a report on a radiograph."""
    reading = await read(services, data, Timings(), options.caller)
    return reading, await report_on(services, reading.codes, options, instruction, reading.timings, show)


async def report_on(
    services: Services,
    codes: Sequence[int],
    options: Options,
    instruction: str | None = None,
    timings: Timings | None = None,
    show: Show = nobody,
) -> Text:
    """A report on a radiograph that is encoded already."""
    prompt = services.bundle.prompts.report(codes, instruction or REPORT_INSTRUCTION)
    sampling = options.sampling(services.bundle.manifest.decoding.report)
    timings = timings or Timings()
    with timings.stage("generate"):
        return await write(services, prompt, sampling, options.caller, timings, show)


async def answers(
    services: Services, data: bytes, questions: Sequence[str], options: Options, show: Show = nobody
) -> tuple[Reading, list[Text]]:
    """Job 1, asked: answers about one radiograph, which is encoded once."""
    reading = await read(services, data, Timings(), options.caller)
    prompts = [services.bundle.prompts.answer(reading.codes, question) for question in questions]
    defaults = services.bundle.manifest.decoding.answer
    with reading.timings.stage("generate"):
        texts = await together(
            write(
                services,
                prompt,
                options.sampling(defaults, index=index),
                options.caller,
                reading.timings,
                show,
                index,
            )
            for index, prompt in enumerate(prompts)
        )
    return reading, texts


async def write(
    services: Services,
    prompt: Sequence[int],
    sampling: Sampling,
    caller: Caller,
    timings: Timings,
    show: Show = nobody,
    index: int = 0,
) -> Text:
    """The text that follows a prompt; its pieces are shown as whole characters."""
    kind = Kind.ANY if services.reference_attempts else Kind.TEXT
    ids: list[int] = []
    shown, reason = "", "length"
    async with aclosing(stream(services, prompt, kind, sampling, caller, timings)) as deltas:
        async for delta in deltas:
            ids.extend(delta.ids)
            reason = delta.finish_reason or reason
            if show is not nobody:
                # A character may take several tokens, and what is white at the end may be cut off.
                text = services.bundle.vocabulary.decode(ids).strip().rstrip(_UNFINISHED_CHARACTER)
                if len(text) > len(shown) and text.startswith(shown):
                    show(Piece(index, text[len(shown) :]))
                    shown = text
    metrics.TEXT_TOKENS.inc(len(ids))
    text = services.bundle.vocabulary.decode(ids).strip()
    if show is not nobody and text != shown:
        show(Piece(index, text[len(shown) :]))
    first_image = services.bundle.vocabulary.image_offset
    images = sum([token >= first_image for token in prompt])
    return Text(text, reason, sampling.seed, Usage(len(prompt), images, len(ids)))  # type: ignore[arg-type]


async def draw(
    services: Services,
    text: str,
    options: Options,
    count: int = 1,
    *,
    instruction: str | None = None,
    kept: Sequence[int] = (),
    partials: int = 0,
    show: Show = nobody,
) -> tuple[list[Drawing], Timings]:
    """Job 2: radiographs of what a text describes; seeds of several count up from the first.

    They begin with the codes `kept`. `partials` looks at each and the drawings themselves are shown as they come.
    """
    timings = Timings()
    bundle = services.bundle
    prompt = bundle.prompts.draw(text, instruction or DRAW_INSTRUCTION)
    first = options if options.seed is not None else replace(options, seed=new_seed())
    tokens = bundle.image_tokens - len(kept)
    samplings = [first.sampling(bundle.manifest.decoding.draw, tokens=tokens, index=index) for index in range(count)]
    drawings = await together(
        Artist(services, sampling, options.caller, timings, kept, partials, show, index).draw(prompt)
        for index, sampling in enumerate(samplings)
    )
    return drawings, timings


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """Results of several awaitables in order; where one fails the others are cancelled and its error is raised."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
