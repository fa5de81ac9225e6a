"""Drawing: OpenAI's Images API, streamed or not, and its edits as drawing the lower part of a radiograph anew."""

import asyncio
import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.http.forms import form_body, read_form
from app.api.http.requests import (
    REQUIRE_JSON,
    caller_of,
    check_prompt,
    limits_of,
    services_of,
    while_connected,
    within,
)
from app.api.http.responses import OPENAI_ERRORS, OPENAI_READING_ERRORS, respond_json
from app.api.http.sse import EVENT_STREAM, event, respond_with_events
from app.api.render import render
from app.api.routes.models import check_model
from app.api.schemas.images import (
    DrawBody,
    DrawnImage,
    DrawRequest,
    DrawUsage,
    InputTokens,
    OutputFormat,
    RedrawForm,
)
from app.api.schemas.reports import NOTICE
from app.dicom.secondary_capture import Provenance
from app.errors import InvalidRequest
from app.inference import pipelines
from app.inference.backend import Services
from app.inference.drawing import Drawing, Partial
from app.inference.generation import Options, Show, nobody
from app.settings import LimitsSettings
from app.telemetry.timings import Timings

router = APIRouter(prefix="/v1/images", tags=["drawing"])
_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {}}}}


@dataclass(frozen=True)
class Studio:
    """One request for drawings: what it asks for, and how its drawings go over the wire."""

    services: Services
    body: DrawRequest
    name: str
    size: str

    @classmethod
    def of(cls, name: str, body: DrawRequest, services: Services, limits: LimitsSettings) -> "Studio":
        """Check the request. Raises NotFound and InvalidRequest."""
        check_model(body.model, services)
        size = f"{services.bundle.manifest.image.size}x{services.bundle.manifest.image.size}"
        if body.size not in ("auto", size):
            raise InvalidRequest(f"size: this model draws {size}", code="unsupported_size")
        within("n", body.n, limits.max_images)
        check_prompt("prompt", body.prompt, limits)
        return cls(services, body, name, size)

    def options(self, request: Request) -> Options:
        """How to sample."""
        return Options(self.body.temperature, self.body.top_p, seed=self.body.seed, caller=caller_of(request))

    async def draw(
        self, options: Options, kept: Sequence[int] = (), show: Show = nobody
    ) -> tuple[list[Drawing], Timings]:
        """The drawings, beginning with the codes `kept`."""
        body = self.body
        partials = body.partial_images if body.stream else 0
        return await pipelines.draw(
            self.services, body.prompt, options, body.n, kept=kept, partials=partials, show=show
        )

    def _file(self, drawing: Drawing | Partial, output_format: OutputFormat) -> str:
        bundle = self.services.bundle
        provenance = Provenance.of(bundle.manifest.label, bundle.sha256, drawing.seed, self.body.prompt)
        return base64.b64encode(render(drawing.pixels, output_format, provenance)).decode()

    def _usage(self, drawings: Sequence[Drawing]) -> DrawUsage:
        usage = drawings[0].usage
        drawn = sum(drawing.usage.completion_tokens for drawing in drawings)
        return DrawUsage(
            input_tokens=usage.prompt_tokens,
            output_tokens=drawn,
            total_tokens=usage.prompt_tokens + drawn,
            input_tokens_details=InputTokens(
                image_tokens=usage.image_tokens, text_tokens=usage.prompt_tokens - usage.image_tokens
            ),
        )

    async def answered(self, drawings: list[Drawing], timings: Timings) -> DrawBody:
        """All drawings as one body."""
        with timings.stage("render"):
            files = await asyncio.to_thread(
                lambda: [self._file(drawing, self.body.output_format) for drawing in drawings]
            )
        return DrawBody(
            created=int(time.time()),
            data=[DrawnImage(b64_json=file, seed=drawing.seed) for file, drawing in zip(files, drawings, strict=True)],
            output_format=self.body.output_format,
            size=self.size,
            usage=self._usage(drawings),
            model=self.services.bundle.manifest.label,
            timings=timings.milliseconds(),
        )

    async def events(self, item: object) -> list[bytes]:
        """OpenAI's events of one look at a drawing, or of the drawing; the result as a whole adds none."""
        if not isinstance(item, Drawing | Partial):
            return []
        # A look at a drawing in DICOM is a PNG: a file with UIDs of its own would be taken for a result.
        unfinished = isinstance(item, Partial) and self.body.output_format == "dicom"
        output_format: OutputFormat = "png" if unfinished else self.body.output_format
        common = {
            "b64_json": await asyncio.to_thread(self._file, item, output_format),
            "created_at": int(time.time()),
            "size": self.size,
            "quality": "auto",
            "background": "opaque",
            "output_format": output_format,
            "image_index": item.index,
            "seed": item.seed,
        }
        if isinstance(item, Partial):
            name = f"{self.name}.partial_image"
            return [event({"type": name, "partial_image_index": item.number, "rows": item.rows, **common}, name)]
        name = f"{self.name}.completed"
        last = {"usage": self._usage([item]).model_dump(), "model": self.services.bundle.manifest.label}
        return [event({"type": name, **common, **last, "notice": NOTICE}, name)]


async def _answer(
    request: Request, limits: LimitsSettings, studio: Studio, image: bytes | None = None, rows: int = 0
) -> Response:
    options = studio.options(request)

    async def work(show: Show) -> tuple[list[Drawing], Timings]:
        kept: tuple[int, ...] = ()
        if image is not None:
            columns = studio.services.bundle.manifest.image.grid[1]
            reading = await pipelines.read(studio.services, image, Timings(), options.caller)
            kept = reading.codes[: rows * columns]
        return await studio.draw(options, kept, show)

    if studio.body.stream:
        return await respond_with_events(request, limits, work, studio.events)
    drawings, timings = await while_connected(request, limits, work(nobody))
    return respond_json(await studio.answered(drawings, timings))


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

    With `stream` the events are OpenAI's; each says by `image_index` which of the `n` it is about.
    """
    services, limits = services_of(request), limits_of(request)
    return await _answer(request, limits, Studio.of("image_generation", body, services, limits))


@router.post(
    "/edits",
    response_model=DrawBody,
    responses={**OPENAI_READING_ERRORS, **_FORMS},
    summary="The lower part of a radiograph, drawn anew",
    openapi_extra=form_body(RedrawForm),
)
async def redraw_images(request: Request) -> Response:
    """Keep the first `keep_rows` rows of a radiograph's codes and draw the others after the prompt (an extension)."""
    services, limits = services_of(request), limits_of(request)
    form = await read_form(request, RedrawForm)
    studio = Studio.of("image_edit", cast(DrawRequest, form), services, limits)
    rows = services.bundle.manifest.image.grid[0]
    if form.keep_rows >= rows:
        raise InvalidRequest(f"keep_rows: {form.keep_rows} of {rows} rows leave nothing to draw", code="keep_rows")
    return await _answer(request, limits, studio, form.image, form.keep_rows)
