"""Where in a radiograph a statement comes from: interventions on its codes, as `models.evidence` says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.errors import InvalidRequest
from app.inference.backend import Backend, EncodedImage
from app.inference.generation import EVIDENCE, Caller, Options, Usage, likeliest, log_likelihoods
from app.inference.pipelines import encode
from app.inference.probability import is_closed
from app.inference.writing import generate_text
from app.telemetry.timings import Timings
from models.evidence import GREY, REPLACEMENT, Region, Replacement, commonest, regions, replaced, spread


@dataclass(frozen=True)
class Asked:
    """What evidence is asked of: a sentence as the text of a report, or a closed question, whose answer the model gives
    itself.
    """

    text: str
    is_question: bool = False
    # What the report says before the statement; it is read, not scored.
    context: str = ""


@dataclass(frozen=True)
class Evidence:
    """How far the text `scored`, a statement or the model's answer to a question, depends on each code of the image.

    `map` has the loss of its log-probability, in nats, rows of columns; `log_probability` is that of the whole image.
    `replacement` says what stood in for each of the `regions`.
    """

    scored: str
    log_probability: float
    map: tuple[tuple[float, ...], ...]
    replacement: Replacement
    regions: tuple[Region, ...]
    usage: Usage


def check_asked(backend: Backend, asked: Asked) -> None:
    """Raises InvalidRequest where a question is not closed, or a statement longer than the longest report."""
    if asked.is_question:
        if not is_closed(asked.text):
            detail = "question: only one that asks for yes or no, and denies nothing, has one answer to look for"
            raise InvalidRequest(detail, code="not_closed")
        return
    count, most = sum(map(len, _split(backend, asked.context, asked.text))), _longest(backend)
    if count > most:
        named = "context and statement" if asked.context else "statement"
        detail = f"{named}: {count} tokens; a report has {most} at most"
        raise InvalidRequest(detail, code="statement_too_long")


def _longest(backend: Backend) -> int:
    return backend.bundle.manifest.decoding.report.max_tokens


async def evidence(
    backend: Backend,
    data: bytes,
    asked: Asked,
    timings: Timings,
    caller: Caller,
    replacement: Replacement = REPLACEMENT,
) -> tuple[EncodedImage, Evidence]:
    """The evidence for a statement, or for the answer to a question, in a radiograph, which is encoded once.

    The engine has the whole image and one intervention for every region at once; one map at a time has them there, so
    that its queue stays free for others. Raises as `pipelines.encode` does, InvalidRequest, RateLimited, and as the
    engine does.
    """
    check_asked(backend, asked)
    image = await encode(backend, data, timings, caller)
    prompts, usage = backend.bundle.prompts, Usage(0, 0, 0)
    text = asked.text
    if asked.is_question:
        with timings.stage("generate"):
            text, usage = await _answer(backend, image.codes, asked.text, timings, caller)

    def prompt(codes: Sequence[int]) -> list[int]:
        return prompts.answer(codes, asked.text) if asked.is_question else [*prompts.report(codes), *before]

    before, ids = _split(backend, asked.context, text)
    covered = regions(backend.bundle.manifest.image.grid)
    async with backend.mapping:
        with timings.stage("score"):
            whole_image = prompt(image.codes)
            stand_in, read = await _stand_in(backend, whole_image, image.codes, replacement, caller)
            asking = [whole_image, *(prompt(replaced(image.codes, region, stand_in)) for region in covered)]
            whole, *without = await log_likelihoods(backend.engine, asking, ids, caller, EVIDENCE)
    usage += read + Usage(sum(map(len, asking)) + len(asking) * len(ids), len(asking) * len(image.codes), 0)
    weights = spread(backend.bundle.manifest.image.grid, covered, [whole - found for found in without])
    return image, Evidence(text, whole, weights, replacement, covered, usage)


def _split(backend: Backend, context: str, text: str) -> tuple[list[int], list[int]]:
    """The ids of a context, and those of the text behind it, as they are together."""
    vocabulary = backend.bundle.vocabulary
    between = "" if not context or context[-1].isspace() else " "
    whole, before = vocabulary.encode(context + between + text), vocabulary.encode(context)
    pairs = zip(before, whole, strict=False)
    shared = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(before), len(whole)))
    return whole[:shared], whole[shared:]


async def _answer(
    backend: Backend, codes: Sequence[int], question: str, timings: Timings, caller: Caller
) -> tuple[str, Usage]:
    """The model's likeliest answer. Raises InvalidRequest where it says nothing."""
    options = Options(temperature=0.0, seed=0, caller=caller)
    sampling = options.sampling(backend.bundle.manifest.decoding.answer)
    given = await generate_text(backend, backend.bundle.prompts.answer(codes, question), sampling, options, timings)
    if not given.text:
        raise InvalidRequest("question: the model gives no answer to it", code="no_answer")
    return given.text, given.usage


async def _stand_in(
    backend: Backend, prompt: Sequence[int], codes: Sequence[int], replacement: Replacement, caller: Caller
) -> tuple[Sequence[int], Usage]:
    """What stands in for the codes of an image, one for each, and the tokens that were read to find it.

    `prompt` is the one that holds the image.
    """
    most = commonest(codes)
    if replacement == "grey":
        size = backend.bundle.manifest.image.size
        return await backend.codec.encode(np.full((size, size), GREY, np.uint8)), Usage(0, 0, 0)
    if replacement == "commonest":
        return [most] * len(codes), Usage(0, 0, 0)
    vocabulary = backend.bundle.vocabulary
    end = next(place for place, token in enumerate(prompt) if token >= vocabulary.image_offset) + len(codes)
    places = await likeliest(backend.engine, prompt[:end], len(codes), caller, EVIDENCE)
    offset = vocabulary.image_offset
    drawn = [
        next((token - offset for token in place if token >= offset and token - offset != code), most)
        for place, code in zip(places, codes, strict=True)
    ]
    return drawn, Usage(end, len(codes), 0)
