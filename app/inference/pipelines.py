"""The jobs of the service, each as one function: bytes or text in, a result out. READ THIS FIRST.

report:  bytes -> radiograph -> codes -> prompt -> text
answers: bytes -> radiograph -> codes -> prompts -> texts
draw:    text -> prompt -> codes -> radiograph, and the best of several where that is asked for

Each emits what it has so far, where an `emit` is given: streams pass it on.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.concurrency import gather_or_cancel
from app.engine import Guidance
from app.errors import InvalidRequest
from app.ids import new_seed
from app.inference import copies
from app.inference.backend import Backend, EncodedImage
from app.inference.cache import ContentKey
from app.inference.choosing import Choice
from app.inference.drawing import DrawingRun
from app.inference.events import Drawing, Emit
from app.inference.generation import Caller, Options
from app.inference.probability import is_closed
from app.inference.screening import as_it_lies, read, screen
from app.inference.writing import GeneratedText, generate_text
from app.telemetry import metrics
from app.telemetry.timings import Timings
from models.findings.yes_no import YesNo
from models.prompts import DRAW_INSTRUCTION, REPORT_INSTRUCTION


async def encode(backend: Backend, data: bytes | Path, timings: Timings, caller: Caller | None = None) -> EncodedImage:
    """Decode an uploaded image or a file, look at it and encode it, or find it in the cache where `caller` has sent it
    before.

    Raises InputError, Overloaded, WorkerFailed, CodecDead, and OSError of a file.
    """
    screening = "on" if caller is None else caller.screening
    key = None
    if caller is not None and screening == "on" and not isinstance(data, Path):
        key = ContentKey.from_bytes(caller.cache_salt, data)
    known = None if key is None else backend.encoded_images.find(key)
    if known is not None:
        return known
    with timings.stage("decode"):
        radiograph = await read(backend, data)
    with timings.stage("screen"):
        radiograph = await as_it_lies(backend, radiograph, screening)
        seen = await screen(backend, radiograph.pixels, screening)
    radiograph = replace(radiograph, pixels=seen.pixels, warnings=(*radiograph.warnings, *seen.warnings))
    with timings.stage("encode"):
        codes = await backend.codec.encode(radiograph.pixels)
    metrics.IMAGE_TOKENS.labels(direction="in").inc(len(codes))
    image = EncodedImage(radiograph, tuple(codes), seen)
    if key is not None:
        backend.encoded_images.keep(key, image)
    return image


async def report(
    backend: Backend,
    data: bytes,
    options: Options,
    timings: Timings,
    instruction: str | None = None,
    emit: Emit | None = None,
) -> tuple[EncodedImage, GeneratedText]:
    """Job 1: a report on a radiograph."""
    image = await encode(backend, data, timings, options.caller)
    return image, await report_on(backend, image.codes, options, timings, instruction, emit)


async def report_on(
    backend: Backend,
    codes: Sequence[int],
    options: Options,
    timings: Timings | None = None,
    instruction: str | None = None,
    emit: Emit | None = None,
) -> GeneratedText:
    """A report on a radiograph that is encoded already."""
    prompt = backend.bundle.prompts.report(codes, instruction or REPORT_INSTRUCTION)
    sampling = options.sampling(backend.bundle.manifest.decoding.report)
    timings = timings or Timings()
    with timings.stage("generate"):
        return await generate_text(backend, prompt, sampling, options, timings, emit)


async def answers(
    backend: Backend,
    data: bytes,
    questions: Sequence[str],
    options: Options,
    timings: Timings,
    emit: Emit | None = None,
    *,
    probabilities: bool = False,
) -> tuple[EncodedImage, list[GeneratedText]]:
    """Job 1, asked: answers about one radiograph, which is encoded once. With `probabilities`, "Yes" and "No" are
    scored as beginnings of the answers to closed questions (`models.findings.yes_no`).
    """
    image = await encode(backend, data, timings, options.caller)
    prompts = [backend.bundle.prompts.answer(image.codes, question) for question in questions]
    defaults = backend.bundle.manifest.decoding.answer
    words = YesNo.beginnings(backend.bundle.prompts).ids if probabilities else ()
    with timings.stage("generate"):
        texts = await gather_or_cancel(
            generate_text(
                backend,
                prompt,
                options.sampling(defaults, index=index),
                options,
                timings,
                emit,
                index,
                words if is_closed(question) else (),
            )
            for index, (question, prompt) in enumerate(zip(questions, prompts, strict=True))
        )
    return image, texts


async def draw(
    backend: Backend,
    text: str,
    options: Options,
    timings: Timings,
    count: int = 1,
    *,
    instruction: str | None = None,
    kept: Sequence[int] = (),
    partials: int = 0,
    emit: Emit | None = None,
) -> list[Drawing]:
    """Job 2: radiographs of what a text describes; seeds of several, and of their candidates, count up from the first.

    They begin with the codes `kept`. `partials` unfinished images of each, and the drawings, are emitted as they come;
    of candidates only the one that is chosen. Raises InvalidRequest where guidance is asked for and not offered,
    ResemblesTraining for what is too similar to a film of the training.
    """
    scale = guidance_scale(backend, options)
    bundle = backend.bundle
    prompt = bundle.prompts.draw(text, instruction or DRAW_INSTRUCTION)
    first = options if options.seed is not None else replace(options, seed=new_seed())
    tokens = bundle.image_tokens - len(kept)
    decoding, best_of = bundle.manifest.decoding.draw, options.best_of
    samplings = [first.sampling(decoding, tokens=tokens, index=index) for index in range(count * best_of)]
    without = bundle.prompts.unconditional(decoding.unconditional, instruction or DRAW_INSTRUCTION)
    guidance = None if scale == 1.0 else Guidance(tuple(without), scale)
    looks, seen = (partials, emit) if best_of == 1 else (0, None)
    runs = [
        DrawingRun(backend, sampling, options.caller, timings, kept, looks, seen, index, guidance)
        for index, sampling in enumerate(samplings)
    ]
    if best_of == 1:
        return await gather_or_cancel(copies.draw(backend.copies, run, prompt) for run in runs)
    choice = Choice(backend, text, options.caller, timings, emit)
    choice.check_room()
    return await gather_or_cancel(
        choice.best(runs[index * best_of : (index + 1) * best_of], prompt, index) for index in range(count)
    )


def guidance_scale(backend: Backend, options: Options) -> float:
    """The scale of a drawing's guidance, 1 for none. Raises InvalidRequest where it is asked for and not offered."""
    asked = options.guidance_scale
    if not backend.reference_attempts:
        return backend.bundle.manifest.decoding.draw.guidance if asked is None else asked
    if asked is not None and asked != 1.0:
        detail = "guidance_scale: reference decoding draws as the published code does, which knows no guidance"
        raise InvalidRequest(detail, code="guidance_not_offered")
    return 1.0
