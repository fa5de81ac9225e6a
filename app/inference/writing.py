"""One text, from its prompt to its words, and its deltas on the way."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from app.engine import Kind, Sampling
from app.engine.protocol import FinishReason
from app.inference import stops
from app.inference.backend import Backend
from app.inference.events import Emit, TextDelta
from app.inference.generation import Options, Usage, stream
from app.inference.token_logprobs import MOST, TokenLogprob, TokenTrace
from app.telemetry import metrics
from app.telemetry.timings import Timings

_UNFINISHED_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class GeneratedText:
    """A generated text, how likely each of the ids that were scored was to begin it, as a logarithm, and its tokens
    where they were asked for.
    """

    text: str
    finish_reason: FinishReason
    seed: int
    usage: Usage
    log_likelihoods: tuple[float, ...] = ()
    tokens: tuple[TokenLogprob, ...] | None = None


async def generate_text(
    backend: Backend,
    prompt: Sequence[int],
    sampling: Sampling,
    options: Options,
    timings: Timings,
    emit: Emit | None = None,
    index: int = 0,
    scored: Sequence[int] = (),
) -> GeneratedText:
    """The text that follows a prompt, up to the first of the options' stops; its deltas are in whole characters. How
    likely each of the ids `scored` was to begin it is found in the same pass.
    """
    kind = Kind.ANY if backend.reference_attempts else Kind.TEXT
    vocabulary = backend.bundle.vocabulary
    ids: list[int] = []
    emitted, reason, ended = "", "length", None
    likely: tuple[float, ...] = ()
    most = options.top_logprobs
    trace = None if most is None else TokenTrace(vocabulary, most)
    top = MOST if most else most
    tokens: list[TokenLogprob] = []
    told = stream(backend.engine, prompt, kind, sampling, options.caller, timings, scored=scored, top_logprobs=top)

    def tell(text: str) -> None:
        """Emit what is new of a text, with its tokens."""
        nonlocal emitted
        found = () if trace is None else trace.until(text)
        tokens.extend(found)
        if emit is not None:
            emit(TextDelta(index, text[len(emitted) :], found))
        emitted = text

    async with aclosing(told) as deltas:
        async for delta in deltas:
            ids.extend(delta.ids)
            reason = delta.finish_reason or reason
            likely = delta.log_likelihoods or likely
            if trace is not None:
                trace.add(delta.ids, delta.places)
            if emit is None and not options.stop:
                continue
            # A character may take several tokens, and white space at the end is cut off where nothing follows it.
            text = vocabulary.decode(ids).strip().rstrip(_UNFINISHED_CHARACTER)
            ended = stops.cut(text, options.stop)
            if ended is not None:
                break
            text = stops.certain(text, options.stop)
            if emit is not None and len(text) > len(emitted) and text.startswith(emitted):
                tell(text)
    metrics.TEXT_TOKENS.inc(len(ids))
    text = vocabulary.decode(ids).strip()
    before = stops.cut(text, options.stop) if ended is None else ended
    if before is not None:
        text, reason = before.rstrip(), "stop"
    if len(text) > len(emitted):
        tell(text)
    images = sum([token >= vocabulary.image_offset for token in prompt])
    usage = Usage(len(prompt), images, len(ids))
    scores = None if trace is None else tuple(tokens)
    return GeneratedText(text, reason, sampling.seed, usage, likely, scores)  # type: ignore[arg-type]
