"""Drawing: OpenAI's Images API, and codes to pixels."""

import asyncio
import base64
import time

from fastapi import APIRouter, Request, Response

from app import pipelines
from app.api.requests import LimitsOf, ServicesOf, caller_of, require_content_type, while_connected, within
from app.api.responses import DRAW_PROBLEMS, OPENAI_ERRORS
from app.dicom.secondary_capture import Provenance
from app.errors import InvalidRequest, NotFound
from app.generation import Options
from app.rendering import MEDIA_TYPES, render
from app.schemas.drawings import DrawBody, DrawnImage, DrawRequest, DrawUsage, InputTokens
from app.schemas.readings import PixelsRequest
from app.services import Services

router = APIRouter(prefix="/v1/images", tags=["drawing"], dependencies=[require_content_type("application/json")])


def _check(body: DrawRequest, services: Services) -> str:
    """The size in pixels as text. Raises NotFound and InvalidRequest."""
    manifest = services.bundle.manifest
    if body.model is not None and body.model not in (manifest.label, manifest.name):
        raise NotFound(f"This server has the model {manifest.label}.", code="model_not_found")
    size = f"{manifest.image.size}x{manifest.image.size}"
    if body.size not in ("auto", size):
        raise InvalidRequest(f"size: this model draws {size}", code="unsupported_size")
    return size


def _rendered(drawings: list[pipelines.Drawing], body: DrawRequest, services: Services) -> list[DrawnImage]:
    data = []
    for drawing in drawings:
        provenance = Provenance.of(services.bundle.manifest.label, services.bundle.sha256, drawing.seed, body.prompt)
        file = render(drawing.pixels, body.output_format, provenance)
        data.append(DrawnImage(b64_json=base64.b64encode(file).decode(), seed=drawing.seed))
    return data


@router.post(
    "/generations",
    responses=OPENAI_ERRORS,
    summary="Synthetic radiographs from a text",
    openapi_extra={
        "x-curl": "curl http://127.0.0.1:8080/v1/images/generations -H 'Content-Type: application/json' "
        """-d '{"prompt": "Normal chest radiograph."}'"""
    },
)
async def create_images(body: DrawRequest, request: Request, services: ServicesOf, limits: LimitsOf) -> DrawBody:
    """Draw `n` radiographs of what the prompt describes, in the form of OpenAI's Images API."""
    size = _check(body, services)
    within("n", body.n, limits.max_images)
    if len(body.prompt) > limits.max_prompt_chars:
        raise InvalidRequest(
            f"prompt: {len(body.prompt)} characters are more than the limit of {limits.max_prompt_chars}",
            code="prompt_too_long",
        )
    options = Options(body.temperature, body.top_p, seed=body.seed, caller=caller_of(request))
    work = pipelines.draw(services, body.prompt, options, body.n)
    drawings, timings = await while_connected(request, limits, work)
    manifest = services.bundle.manifest
    with timings.stage("render"):
        data = await asyncio.to_thread(_rendered, drawings, body, services)
    prompt_tokens = drawings[0].usage.prompt_tokens
    drawn_tokens = sum(drawing.usage.completion_tokens for drawing in drawings)
    return DrawBody(
        created=int(time.time()),
        data=data,
        output_format=body.output_format,
        size=size,
        usage=DrawUsage(
            input_tokens=prompt_tokens,
            output_tokens=drawn_tokens,
            total_tokens=prompt_tokens + drawn_tokens,
            input_tokens_details=InputTokens(image_tokens=0, text_tokens=prompt_tokens),
        ),
        model=manifest.label,
        timings=timings.milliseconds(),
    )


@router.post(
    "/pixels",
    response_class=Response,
    responses={200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}}, **DRAW_PROBLEMS},
    summary="The radiograph of given codes",
)
async def create_pixels(body: PixelsRequest, request: Request, services: ServicesOf, limits: LimitsOf) -> Response:
    """Draw the radiograph that the codes stand for: one per grid cell, row by row."""
    bundle = services.bundle
    if len(body.tokens) != bundle.image_tokens:
        raise InvalidRequest(
            f"tokens: {len(body.tokens)} given, an image has {bundle.image_tokens}", code="token_count"
        )
    try:
        bundle.vocabulary.image_ids(body.tokens)
    except ValueError as error:
        highest = bundle.vocabulary.codebook_size - 1
        raise InvalidRequest(f"tokens: every token must lie in 0..{highest}", code="token_range") from error
    pixels = await while_connected(request, limits, services.codec.decode(body.tokens))
    provenance = Provenance.of(bundle.manifest.label, bundle.sha256)
    file = await asyncio.to_thread(render, pixels, body.output_format, provenance)
    return Response(file, media_type=MEDIA_TYPES[body.output_format])
