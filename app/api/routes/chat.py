"""OpenAI's chat completions: the model reads the latest image, or draws where it is asked to."""

import asyncio
import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.http.context import Context, check_count, check_prompt
from app.api.http.conversation import Turn
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
)
from app.dicom.secondary_capture import Provenance
from app.ids import new_id
from app.inference import pipelines
from app.inference.events import Drawing, Emit, Event, Result, TextDelta
from app.inference.generation import Options, Usage
from app.telemetry.timings import Timings

router = APIRouter(prefix="/v1/chat", tags=["chat"], dependencies=[REQUIRE_JSON])

_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class ChatTask:
    """One request of a conversation, and its answer on the wire."""

    context: Context
    turn: Turn
    options: Options
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{new_id()}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def run(self, emit: Emit | None = None) -> ChatBody:
        """Read or draw."""
        backend, turn, timings = self.context.backend, self.turn, Timings()
        if turn.draws:
            (drawing,) = await pipelines.draw(backend, turn.text, self.options, timings)
            return await asyncio.to_thread(self._drawn, drawing)
        warnings: Sequence[str] = ()
        if turn.image is None:
            prompt = backend.bundle.prompts.instruct(turn.text)
            sampling = self.options.sampling(backend.bundle.manifest.decoding.answer)
            text = await pipelines.generate_text(backend, prompt, sampling, self.options.caller, timings, emit)
        elif turn.text:
            image, (text,) = await pipelines.answers(backend, turn.image, [turn.text], self.options, timings, emit)
            warnings = image.radiograph.warnings
        else:
            image, text = await pipelines.report(backend, turn.image, self.options, timings, emit=emit)
            warnings = image.radiograph.warnings
        return self._body(text.text, text.finish_reason, text.usage, text.seed, warnings)

    def _drawn(self, drawing: Drawing) -> ChatBody:
        bundle = self.context.backend.bundle
        provenance = Provenance(
            bundle.manifest.label, bundle.sha256, drawing.seed, self.context.pseudonym(self.turn.text)
        )
        data = base64.b64encode(render(drawing.pixels, "png", provenance)).decode()
        part = ImagePart(type="image_url", image_url=ImageUrl(url=f"data:image/png;base64,{data}"))
        return self._body([part], "stop", drawing.usage, drawing.seed)

    def _body(self, content: Any, reason: Any, usage: Usage, seed: int, warnings: Sequence[str] = ()) -> ChatBody:
        read, written = usage.prompt_tokens, usage.completion_tokens
        return ChatBody(
            id=self.id,
            created=self.created,
            model=self.context.backend.bundle.manifest.label,
            choices=[Choice(message=AssistantMessage(content=content), finish_reason=reason)],
            usage=ChatUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written),
            seed=seed,
            warnings=[*self.turn.warnings, *warnings],
        )

    async def respond(self, result: ChatBody) -> Response:
        """One completion."""
        return respond_json(result)

    async def events(self, item: Event | Result[ChatBody]) -> Iterable[bytes]:
        """Chunks of a piece of text, or the last ones."""
        frame = self._body("", "stop", Usage(0, 0, 0), 0)
        if isinstance(item, TextDelta):
            return [event(frame.chunk({"role": "assistant", "content": item.text}))]
        if not isinstance(item, Result):
            return []
        body = item.value
        message, chunks = body.choices[0], []
        if not isinstance(message.message.content, str):
            content = [part.model_dump() for part in message.message.content]
            chunks.append(event(frame.chunk({"role": "assistant", "content": content})))
        doubts = {"warnings": body.warnings} if body.warnings else {}
        chunks.append(event({**frame.chunk({}, message.finish_reason), **doubts}))
        if self.include_usage:
            chunks.append(event({**frame.chunk({}), "choices": [], "usage": body.usage.model_dump()}))
        return [*chunks, _DONE]


@router.post(
    "/completions",
    response_model=ChatBody,
    responses={**OPENAI_READING_ERRORS, 200: {"content": {EVENT_STREAM: {}}}},
    summary="Read or draw, in the form of a chat",
)
async def create_completion(body: ChatRequest, request: Request) -> Response:
    """The latest image of the conversation is read: a report without words, an answer with them.

    Without an image, words that ask for one, or `modalities` with `image`, are drawn: the answer's content is then an
    image part.
    """
    context = Context.from_request(request)
    check_model(body.model, context.backend)
    turn = Turn.from_request(body, text_only=context.backend.bundle.manifest.text_only_answers)
    check_prompt("messages", turn.text, context.limits)
    tokens = body.max_completion_tokens or body.max_tokens
    check_count("max_tokens", tokens, context.limits.max_text_tokens)
    options = Options(body.temperature, body.top_p, tokens, body.seed, context.caller)
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    return await respond(context, ChatTask(context, turn, options, include_usage), stream=body.stream)
