"""Image codes: a radiograph's, the radiograph of given ones, and a preview of what was uploaded."""

import asyncio
from dataclasses import replace

from fastapi import APIRouter, Request, Response

from app.api.http.context import Context
from app.api.http.forms import form_body, read_form
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import REQUIRE_JSON, negotiate
from app.api.http.responses import DRAW_PROBLEMS, PROBLEMS
from app.api.render import MEDIA_TYPES, render
from app.api.schemas.codes import PixelsRequest, TokensBody
from app.api.schemas.common import ImageBody, ImageForm
from app.dicom.secondary_capture import Provenance
from app.errors import InvalidRequest
from app.inference import pipelines
from app.telemetry.timings import Timings

router = APIRouter(prefix="/v1/images", tags=["codes"], route_class=JsonRoute)
PGM = "image/x-portable-graymap"


@router.post(
    "/tokens",
    responses=PROBLEMS,
    response_model_exclude_none=True,
    summary="The codes of a radiograph",
    openapi_extra=form_body(ImageForm),
)
async def create_tokens(request: Request) -> TokensBody:
    """Tokenise a radiograph: one code per grid cell, row by row."""
    context = Context.from_request(request)
    form = await read_form(request, ImageForm)
    negotiate(request, ("application/json",))
    work = pipelines.encode(context.backend, form.image, Timings(), replace(context.caller, screening="unneeded"))
    image = await context.while_connected(work)
    manifest = context.backend.bundle.manifest
    return TokensBody(
        tokens=list(image.codes),
        grid=manifest.image.grid,
        codebook_size=manifest.vocabulary.codebook_size,
        image=ImageBody.from_image(image),
    )


@router.post(
    "/pixels",
    dependencies=[REQUIRE_JSON],
    response_class=Response,
    responses={200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}}, **DRAW_PROBLEMS},
    summary="The radiograph of given codes",
)
async def create_pixels(body: PixelsRequest, request: Request) -> Response:
    """Draw the radiograph that the codes stand for: one per grid cell, row by row."""
    context = Context.from_request(request)
    bundle = context.backend.bundle
    if len(body.tokens) != bundle.image_tokens:
        raise InvalidRequest(
            f"tokens: {len(body.tokens)} given, an image has {bundle.image_tokens}", code="token_count"
        )
    try:
        bundle.vocabulary.image_ids(body.tokens)
    except ValueError as error:
        highest = bundle.vocabulary.codebook_size - 1
        raise InvalidRequest(f"tokens: every token must lie in 0..{highest}", code="token_range") from error
    pixels = await context.while_connected(context.backend.codec.decode(body.tokens))
    provenance = Provenance(bundle.manifest.label, bundle.sha256)
    file = await asyncio.to_thread(render, pixels, body.output_format, provenance, context.sign)
    return Response(file, media_type=MEDIA_TYPES[body.output_format])


@router.post(
    "/preview",
    response_class=Response,
    responses={200: {"content": {PGM: {}}}, **PROBLEMS},
    summary="An uploaded radiograph in its full range of grey, for display",
    openapi_extra=form_body(ImageForm),
)
async def create_preview(request: Request) -> Response:
    """A binary PGM of 16 bits, its longer side 1,024 pixels at most.

    Comments in its header, in values after the modality LUT: `range LOW HIGH`, `window CENTER WIDTH`, `inverse 0|1`.
    """
    context = Context.from_request(request)
    form = await read_form(request, ImageForm)
    negotiate(request, (PGM,))
    preview = await context.while_connected(context.backend.reader.preview(form.image))
    return Response(preview, media_type=PGM)
