"""OpenAI's chat completions: the model reads the latest image, or draws where it is asked to."""

import asyncio
import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.http.context import Context, check_best_of, check_prompt
from app.api.http.conversation import Turn
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import REQUIRE_JSON
from app.api.http.responses import OPENAI_READING_ERRORS, respond_json
from app.api.http.sse import EVENT_STREAM, event
from app.api.http.task import respond
from app.api.render import render
from app.api.routes.models import check_model
from app.api.schemas.chat import (
    AssistantMessage,
    ChatBody,
    ChatRequest,
    ChatUsage,
    Choice,
    ImagePart,
    ImageUrl,
    LogprobsBody,
)
from app.api.schemas.common import NearestTrainingImage, ReadingBody
from app.dicom.secondary_capture import Provenance
from app.errors import InvalidRequest
from app.ids import new_id
from app.inference import pipelines
from app.inference.events import Drawing, Emit, Event, Result, TextDelta
from app.inference.generation import Options, Usage
from app.inference.token_logprobs import TokenLogprob
from app.inference.writing import generate_text
from app.telemetry.timings import Timings

router = APIRouter(prefix="/v1/chat", tags=["chat"], dependencies=[REQUIRE_JSON], route_class=JsonRoute)

_DRAWN = "A synthetic radiograph."
_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class ChatTask:
    """One request of a conversation, and its answer on the wire."""

    context: Context
    turn: Turn
    image: bytes | None
    options: Options
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{new_id()}")
    created: int = field(default_factory=lambda: int(time.time()))
    begun: list[bool] = field(default_factory=list)

    async def run(self, emit: Emit | None = None) -> ChatBody:
        """Read or draw."""
        backend, turn, timings = self.context.backend, self.turn, Timings()
        if turn.draws:
            (drawing,) = await pipelines.draw(backend, turn.text, self.options, timings)
            return await asyncio.to_thread(self._drawn, drawing)
        warnings: Sequence[str] = ()
        if self.image is None:
            prompt = backend.bundle.prompts.instruct(turn.text)
            sampling = self.options.sampling(backend.bundle.manifest.decoding.answer)
            text = await generate_text(backend, prompt, sampling, self.options, timings, emit)
        elif turn.text:
            image, (text,) = await pipelines.answers(backend, self.image, [turn.text], self.options, timings, emit)
            warnings = image.radiograph.warnings
        else:
            image, text = await pipelines.report(backend, self.image, self.options, timings, emit=emit)
            warnings = image.radiograph.warnings
        return self._body(text.text, text.finish_reason, text.usage, text.seed, warnings, tokens=text.tokens)

    def _drawn(self, drawing: Drawing) -> ChatBody:
        bundle = self.context.backend.bundle
        provenance = Provenance(
            bundle.manifest.label,
            bundle.sha256,
            drawing.seed,
            self.context.pseudonym(self.turn.text),
            drawing.guidance,
        )
        data = base64.b64encode(render(drawing.pixels, "png", provenance, self.context.sign)).decode()
        part = ImagePart(type="image_url", image_url=ImageUrl(url=f"data:image/png;base64,{data}"), index=0)
        body = self._body(_DRAWN, "stop", drawing.usage, drawing.seed, images=[part])
        told = {"reading": ReadingBody.from_reading(drawing.reading), "nearest": NearestTrainingImage.of(drawing)}
        return body.model_copy(update=told)

    def _body(
        self,
        content: str,
        reason: Any,
        usage: Usage,
        seed: int,
        warnings: Sequence[str] = (),
        images: list[ImagePart] | None = None,
        tokens: Sequence[TokenLogprob] | None = None,
    ) -> ChatBody:
        read, written = usage.prompt_tokens, usage.completion_tokens
        message = AssistantMessage(content=content, images=images)
        told = None if tokens is None else LogprobsBody.from_tokens(tokens)
        return ChatBody(
            id=self.id,
            created=self.created,
            model=self.context.backend.bundle.manifest.label,
            choices=[Choice(message=message, finish_reason=reason, logprobs=told)],
            usage=ChatUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written),
            seed=seed,
            warnings=[*self.turn.warnings, *warnings],
        )

    async def respond(self, result: ChatBody) -> Response:
        """One completion."""
        return respond_json(result)

    async def events(self, item: Event | Result[ChatBody]) -> Iterable[bytes]:
        """Chunks of a piece of text, or the last ones. The role is in the first alone: clients add up what comes."""
        chunks = [] if self.begun else [self._chunk({"role": "assistant", "content": ""})]
        self.begun.append(True)
        if isinstance(item, TextDelta):
            asked = self.options.top_logprobs is not None
            tokens = LogprobsBody.from_tokens(item.tokens).model_dump() if asked else None
            return [*chunks, self._chunk({"content": item.text}, logprobs=tokens)]
        if not isinstance(item, Result):
            return chunks
        body = item.value
        message = body.choices[0].message
        if message.images is not None:
            images = [part.model_dump(exclude_none=True) for part in message.images]
            compared: dict[str, Any] = {} if body.nearest is None else {"nearest": body.nearest.model_dump()}
            chunks.append(self._chunk({"content": message.content, "images": images}, **compared))
        told: dict[str, Any] = {"seed": body.seed}
        if body.warnings:
            told["warnings"] = body.warnings
        if body.reading is not None:
            told["reading"] = body.reading.model_dump()
        chunks.append(self._chunk({}, body.choices[0].finish_reason, **told))
        if self.include_usage:
            chunks.append(self._chunk(None, usage=body.usage.model_dump()))
        return [*chunks, _DONE]

    def _chunk(
        self,
        delta: dict[str, Any] | None,
        finish_reason: str | None = None,
        logprobs: dict[str, Any] | None = None,
        **members: Any,
    ) -> bytes:
        """A `chat.completion.chunk`; without a delta, the one of the usage."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        # Where usage is asked for, the other chunks have it as null.
        usage = {"usage": None} if self.include_usage else {}
        label = self.context.backend.bundle.manifest.label
        head = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": label}
        return event({**head, "choices": [] if delta is None else [choice], **usage, **members})


def _top_logprobs(body: ChatRequest, *, draws: bool) -> int | None:
    """How many of the likeliest tokens are told of each place; None where no token is. Raises InvalidRequest."""
    if not body.logprobs:
        if body.top_logprobs:
            raise InvalidRequest("top_logprobs: it takes `logprobs: true`")
        return None
    if draws:
        raise InvalidRequest("logprobs: they are told of answers in text; this asks for a drawing")
    return body.top_logprobs or 0


@router.post(
    "/completions",
    response_model=ChatBody,
    responses={**OPENAI_READING_ERRORS, 200: {"content": {EVENT_STREAM: {}}}},
    summary="Read or draw, in the form of a chat",
)
async def create_completion(body: ChatRequest, request: Request) -> Response:
    """The latest image of the conversation is read: a report without words, an answer with them.

    Without an image, words that ask for a radiograph, or `modalities` with `image`, are drawn: the drawing is among the
    message's `images` then.
    """
    context = Context.from_request(request)
    check_model(body.model, context.backend)
    turn = Turn.from_request(body, text_only=context.backend.bundle.manifest.text_only_answers)
    image = await turn.image()
    check_prompt("messages", turn.text, context.limits)
    tokens = body.max_completion_tokens or body.max_tokens
    # It is the most that may come: what is over the limit asks for no more than the limit.
    most = None if tokens is None else min(tokens, context.limits.max_text_tokens)
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    options = Options(
        body.temperature,
        body.top_p,
        most,
        body.seed,
        context.caller,
        stop,
        body.guidance_scale,
        body.best_of or 1,
        _top_logprobs(body, draws=turn.draws),
    )
    if turn.draws:
        check_best_of(body.best_of, 1, context.limits.max_images)
        pipelines.guidance_scale(context.backend, options)
    include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return await respond(
        context, ChatTask(context, turn, image, options, include_usage), body, stream=bool(body.stream)
    )
