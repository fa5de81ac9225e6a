"""Drawing: OpenAI's Images API, streamed or not, and its edits as drawing the lower part of a radiograph anew."""

import asyncio
import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.http import drawing_urls
from app.api.http.context import Context, check_best_of, check_count, check_prompt
from app.api.http.forms import form_body, read_form
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import REQUIRE_JSON
from app.api.http.responses import OPENAI_ERRORS, OPENAI_READING_ERRORS, respond_json
from app.api.http.sse import EVENT_STREAM, event
from app.api.http.task import respond
from app.api.render import render
from app.api.routes.models import check_model
from app.api.schemas.common import NOTICE, NearestTrainingImage, ReadingBody
from app.api.schemas.images import DrawBody, DrawnImage, DrawRequest, DrawUsage, InputTokens, OutputFormat, RedrawForm
from app.dicom.secondary_capture import Provenance
from app.errors import InvalidRequest
from app.inference import pipelines
from app.inference.events import Drawing, Emit, Event, PartialImage, Result
from app.inference.generation import Options
from app.telemetry.timings import Timings

router = APIRouter(prefix="/v1/images", tags=["drawing"], route_class=JsonRoute)
_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {}}}}


@dataclass(frozen=True)
class ImagesTask:
    """Drawings that a request asks for; those of an edit begin with the first `rows` rows of `image`'s codes."""

    context: Context
    body: DrawRequest
    name: str
    image: bytes | None = None
    rows: int = 0
    timings: Timings = field(default_factory=Timings)

    def check(self) -> None:
        """Raises NotFound and InvalidRequest where the request asks for what is not offered."""
        backend, body = self.context.backend, self.body
        check_model(body.model, backend)
        if body.size not in ("auto", self._size):
            raise InvalidRequest(f"size: this model draws {self._size}", code="unsupported_size")
        if body.stream and body.response_format == "url":
            raise InvalidRequest("response_format: a stream has b64_json", code="unsupported_response_format")
        check_count("n", body.n, self.context.limits.max_images)
        check_best_of(body.best_of, body.n, self.context.limits.max_images)
        check_prompt("prompt", body.prompt, self.context.limits)
        pipelines.guidance_scale(backend, self._options)
        rows = backend.bundle.manifest.image.grid[0]
        if self.rows >= rows:
            raise InvalidRequest(f"keep_rows: {self.rows} of {rows} rows leave nothing to draw", code="keep_rows")

    @property
    def _size(self) -> str:
        side = self.context.backend.bundle.manifest.image.size
        return f"{side}x{side}"

    @property
    def _options(self) -> Options:
        body = self.body
        return Options(
            body.temperature,
            body.top_p,
            seed=body.seed,
            caller=self.context.caller,
            guidance_scale=body.guidance_scale,
            best_of=body.best_of or 1,
        )

    async def run(self, emit: Emit | None = None) -> list[Drawing]:
        """Encode the image of an edit, and draw."""
        backend, body = self.context.backend, self.body
        options = self._options
        kept: tuple[int, ...] = ()
        if self.image is not None:
            columns = backend.bundle.manifest.image.grid[1]
            # Times of its own: those of the response are the drawing's.
            encoded = await pipelines.encode(
                backend, self.image, Timings(), replace(options.caller, screening="unneeded")
            )
            kept = encoded.codes[: self.rows * columns]
        partials = body.partial_images if body.stream else 0
        return await pipelines.draw(
            backend, body.prompt, options, self.timings, body.n, kept=kept, partials=partials, emit=emit
        )

    def _file(self, drawing: Drawing | PartialImage, output_format: OutputFormat) -> bytes:
        bundle = self.context.backend.bundle
        # What is not finished is no drawing yet, and comes often.
        sign = self.context.sign if isinstance(drawing, Drawing) else None
        scale = pipelines.guidance_scale(self.context.backend, self._options)
        pseudonym = self.context.pseudonym(self.body.prompt)
        provenance = Provenance(bundle.manifest.label, bundle.sha256, drawing.seed, pseudonym, scale)
        return render(drawing.pixels, output_format, provenance, sign)

    async def _item(self, drawing: Drawing, file: bytes) -> DrawnImage:
        reading, nearest = ReadingBody.from_reading(drawing.reading), NearestTrainingImage.of(drawing)
        if self.body.response_format == "url":
            url = await drawing_urls.offer(self.context.request, file, self.body.output_format)
            return DrawnImage(url=url, seed=drawing.seed, reading=reading, nearest=nearest)
        image = base64.b64encode(file).decode()
        return DrawnImage(b64_json=image, seed=drawing.seed, reading=reading, nearest=nearest)

    async def respond(self, result: list[Drawing]) -> Response:
        """All drawings as one body."""
        with self.timings.stage("render"):
            files = await asyncio.to_thread(lambda: [self._file(one, self.body.output_format) for one in result])
        body = DrawBody(
            created=int(time.time()),
            data=[await self._item(drawing, file) for drawing, file in zip(result, files, strict=True)],
            output_format=self.body.output_format,
            size=self._size,
            usage=_usage(result),
            model=self.context.backend.bundle.manifest.label,
            timings=self.timings.milliseconds(),
        )
        return respond_json(body)

    async def events(self, item: Event | Result[list[Drawing]]) -> Iterable[bytes]:
        """OpenAI's events of a partial image or of a drawing; the result as a whole adds none."""
        if not isinstance(item, Drawing | PartialImage):
            return []
        # A partial image of a DICOM drawing is a PNG: a file with UIDs of its own would be taken for a result.
        partial_dicom = isinstance(item, PartialImage) and self.body.output_format == "dicom"
        output_format: OutputFormat = "png" if partial_dicom else self.body.output_format
        common = {
            "b64_json": base64.b64encode(await asyncio.to_thread(self._file, item, output_format)).decode(),
            "created_at": int(time.time()),
            "size": self._size,
            "quality": "auto",
            "background": "opaque",
            "output_format": output_format,
            "image_index": item.index,
            "seed": item.seed,
        }
        if isinstance(item, PartialImage):
            name = f"{self.name}.partial_image"
            return [event({"type": name, "partial_image_index": item.number, "rows": item.rows, **common}, name)]
        name = f"{self.name}.completed"
        reading = ReadingBody.from_reading(item.reading)
        read = {} if reading is None else {"reading": reading.model_dump()}
        last = {"usage": _usage([item]).model_dump(), "model": self.context.backend.bundle.manifest.label}
        nearest = NearestTrainingImage.of(item)
        compared = {} if nearest is None else {"nearest": nearest.model_dump()}
        return [event({"type": name, **common, **read, **compared, **last, "notice": NOTICE}, name)]


def _usage(drawings: Sequence[Drawing]) -> DrawUsage:
    read = sum(drawing.usage.prompt_tokens for drawing in drawings)
    image = sum(drawing.usage.image_tokens for drawing in drawings)
    drawn = sum(drawing.usage.completion_tokens for drawing in drawings)
    return DrawUsage(
        input_tokens=read,
        output_tokens=drawn,
        total_tokens=read + drawn,
        input_tokens_details=InputTokens(image_tokens=image, text_tokens=read - image),
    )


async def _respond(context: Context, task: ImagesTask) -> Response:
    body = task.body
    if body.response_format != "url":
        return await respond(context, task, body, stream=body.stream)
    await drawing_urls.check_room(context.request)
    # An answer is worth no more than its URLs.
    return await respond(context, task, body, stream=False, kept_seconds=drawing_urls.LIFE_SECONDS)


@router.post(
    "/generations",
    dependencies=[REQUIRE_JSON],
    response_model=DrawBody,
    responses={**OPENAI_ERRORS, **_FORMS},
    summary="Synthetic radiographs from a text",
    openapi_extra={
        "x-curl": "curl http://127.0.0.1:8080/v1/images/generations -H 'Content-Type: application/json' "
        """-d '{"prompt": "Normal chest radiograph."}'"""
    },
)
async def create_images(body: DrawRequest, request: Request) -> Response:
    """Draw `n` radiographs of what the prompt describes, in the form of OpenAI's Images API.

    With `stream` the events are OpenAI's; each says by `image_index` which of the `n` it is about. With `best_of` each
    is the best of so many candidates, in the model's own reading.
    """
    context = Context.from_request(request)
    task = ImagesTask(context, body, "image_generation")
    task.check()
    return await _respond(context, task)


@router.post(
    "/edits",
    response_model=DrawBody,
    responses={**OPENAI_READING_ERRORS, **_FORMS},
    summary="The lower part of a radiograph, drawn anew",
    openapi_extra=form_body(RedrawForm),
)
async def redraw_images(request: Request) -> Response:
    """Keep the first `keep_rows` rows of a radiograph's codes and draw the others after the prompt (an extension)."""
    context = Context.from_request(request)
    form = await read_form(request, RedrawForm)
    task = ImagesTask(context, form, "image_edit", form.image, form.keep_rows)
    task.check()
    return await _respond(context, task)
