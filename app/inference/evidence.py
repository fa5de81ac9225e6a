"""Where in a radiograph a statement comes from: interventions on its codes, as `models.evidence` says."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import InvalidRequest
from app.inference.backend import Backend, EncodedImage
from app.inference.generation import EVIDENCE, Caller, Options, Usage, log_likelihoods
from app.inference.pipelines import encode
from app.inference.probability import is_closed
from app.inference.writing import generate_text
from app.telemetry.timings import Timings
from models.evidence import REPLACEMENT, Region, Replacement, commonest, regions, replaced, spread


@dataclass(frozen=True)
class Asked:
    """What evidence is asked of: a sentence as the text of a report, or a closed question, whose answer the model gives
    itself.
    """

    text: str
    is_question: bool = False


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
            detail = "question: only a question that asks for yes or no has one answer to look for; ask a closed one"
            raise InvalidRequest(detail, code="not_closed")
        return
    count, most = len(backend.bundle.vocabulary.encode(asked.text)), backend.bundle.manifest.decoding.report.max_tokens
    if count > most:
        detail = f"statement: {count} tokens are more than the {most} of the longest report"
        raise InvalidRequest(detail, code="statement_too_long")


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
    prompts, vocabulary, usage = backend.bundle.prompts, backend.bundle.vocabulary, Usage(0, 0, 0)
    text = asked.text
    if asked.is_question:
        with timings.stage("generate"):
            text, usage = await _answer(backend, image.codes, asked.text, timings, caller)
    ids = vocabulary.encode(text)
    covered = regions(backend.bundle.manifest.image.grid)
    stand_in = await _stand_in(backend, image.codes, replacement)
    variants = [image.codes, *(replaced(image.codes, region, stand_in) for region in covered)]
    asking = [prompts.answer(codes, asked.text) if asked.is_question else prompts.report(codes) for codes in variants]
    async with backend.mapping:
        with timings.stage("score"):
            whole, *without = await log_likelihoods(backend.engine, asking, ids, caller, EVIDENCE)
    read = sum(map(len, asking)) + len(asking) * len(ids)
    usage += Usage(read, len(asking) * len(image.codes), 0)
    weights = spread(backend.bundle.manifest.image.grid, covered, [whole - found for found in without])
    return image, Evidence(text, whole, weights, replacement, covered, usage)


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


async def _stand_in(backend: Backend, codes: Sequence[int], replacement: Replacement) -> Sequence[int]:
    """What stands in for the codes of an image, one for each."""
    return [commonest(codes)] * len(codes)
