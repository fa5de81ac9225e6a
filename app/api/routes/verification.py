"""Whether a picture was drawn here: the watermark in its codes, and what its file says of itself."""

import asyncio
from dataclasses import replace

from fastapi import APIRouter, Request

from app.api.http.context import Context
from app.api.http.forms import form_body, read_form
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS
from app.api.schemas.common import ImageBody, ImageForm
from app.api.schemas.verification import MetadataBody, VerificationBody, WatermarkBody
from app.api.state import state_of
from app.dicom.header import NotStorable
from app.errors import UnusableImage
from app.imaging.sniff import sniff
from app.inference import pipelines
from app.provenance.reading import SYNTHETIC_TERMS, digital_source_type
from app.telemetry.timings import Timings
from models.watermark import MARKED_BELOW

router = APIRouter(prefix="/v1/images", tags=["drawing"], route_class=JsonRoute)
_FOUND = "The watermark of this installation's drawings is in the picture."
_CLAIMED = "The watermark was not found. The file says of itself that a model made it."
_NEITHER = (
    "The watermark was not found. That is no proof of a real radiograph: it is lost in strong changes of grey levels "
    "and in crops, and another installation's drawings do not have it."
)
_UNREAD = "The file says of itself that a model made it. Its pixels were not looked at: {}"
_EXPORT = " Export them as PNG, and the watermark is looked for."


@router.post(
    "/verify",
    response_model=VerificationBody,
    responses=PROBLEMS,
    response_model_exclude_none=True,
    summary="Whether a picture was drawn by this installation",
    openapi_extra=form_body(ImageForm),
)
async def verify_image(request: Request) -> VerificationBody:
    """Look for the watermark in the picture's codes, and for what its file says of itself.

    A DICOM instance that is no radiograph, as drawings in DICOM are none, is told by its header alone.
    """
    context = Context.from_request(request)
    form = await read_form(request, ImageForm)
    negotiate(request, ("application/json",))
    metadata = await _metadata(request, form.image)
    caller = replace(context.caller, screening="unneeded")
    try:
        image = await context.while_connected(pipelines.encode(context.backend, form.image, Timings(), caller))
    except UnusableImage as refused:
        if not metadata.synthetic:
            raise
        # A drawing in DICOM is refused for what its header says, and its pixels may be good.
        advice = _EXPORT if sniff(form.image) == "dicom" else ""
        return VerificationBody(statement=_UNREAD.format(refused.detail) + advice, metadata=metadata)
    detection = context.backend.watermark.detect(image.codes, context.backend.bundle.vocabulary.codebook_size)
    found = detection.p_value < MARKED_BELOW
    return VerificationBody(
        marked=found,
        statement=_FOUND if found else _CLAIMED if metadata.synthetic else _NEITHER,
        watermark=WatermarkBody(
            p_value=detection.p_value, threshold=MARKED_BELOW, green=detection.green, codes=detection.codes
        ),
        metadata=metadata,
        image=ImageBody.from_image(image),
    )


async def _metadata(request: Request, data: bytes) -> MetadataBody:
    if sniff(data) != "dicom":
        # An upload has megabytes, and the loop serves others meanwhile.
        term = await asyncio.to_thread(digital_source_type, data)
        return MetadataBody(synthetic=term in SYNTHETIC_TERMS, digital_source_type=term)
    try:
        header = await asyncio.to_thread(state_of(request).headers.source, data)
    except NotStorable:
        return MetadataBody(synthetic=False)  # an image can be read where a header is too broken to store
    stated = header.get("SyntheticData")
    synthetic = None if stated is None else str(stated).strip().upper() == "YES"
    return MetadataBody(synthetic=synthetic is True, synthetic_data=synthetic)
