"""Reports, answers and image tokens: routes that take a radiograph and give text or codes."""

import asyncio
import time
import uuid
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from app import pipelines
from app.api.documents import DOCUMENT_TYPES, check_source, document_of
from app.api.requests import (
    LimitsOf,
    ServicesOf,
    caller_of,
    negotiate,
    require_content_type,
    while_connected,
    within,
)
from app.api.responses import PROBLEMS
from app.errors import InvalidRequest
from app.generation import Options, Usage
from app.imaging import Radiograph
from app.reports import sections
from app.schemas.readings import (
    AnswerForm,
    AnswerItem,
    AnswersBody,
    ImageBody,
    ImageForm,
    ReportBody,
    ReportForm,
    ReportText,
    SamplingForm,
    TokensBody,
    UsageBody,
)
from app.settings import LimitsSettings
from app.telemetry.timings import Timings

MULTIPART = "multipart/form-data"
router = APIRouter(
    prefix="/v1", tags=["radiographs"], dependencies=[require_content_type(MULTIPART)], responses=PROBLEMS
)


def _options(request: Request, form: SamplingForm, limits: LimitsSettings) -> Options:
    within("max_tokens", form.max_tokens, limits.max_text_tokens)
    return Options(form.temperature, form.top_p, form.max_tokens, form.seed, caller_of(request))


def _check_prompt(name: str, text: str, limits: LimitsSettings) -> None:
    if len(text) > limits.max_prompt_chars:
        raise InvalidRequest(
            f"{name}: {len(text)} characters are more than the limit of {limits.max_prompt_chars}",
            code="prompt_too_long",
        )


def image_body(radiograph: Radiograph) -> ImageBody:
    """What a client is told about the image that was read."""
    facts = radiograph.dicom
    return ImageBody(
        sha256=radiograph.sha256,
        source=radiograph.source,
        width=radiograph.width,
        height=radiograph.height,
        view=facts.view if facts else None,
        sop_instance_uid=facts.sop_instance_uid if facts else None,
        warnings=list(radiograph.warnings),
    )


def report_text(text: str) -> ReportText:
    """Split a report at its FINDINGS and IMPRESSION headings."""
    return ReportText(text=text, **sections(text))


def _usage(usage: Usage) -> UsageBody:
    return UsageBody(**vars(usage))


@router.post(
    "/reports",
    response_model=ReportBody,
    response_model_exclude_none=True,
    summary="A draft report on a radiograph",
    openapi_extra={"x-curl": "curl -F image=@chest.dcm http://127.0.0.1:8080/v1/reports"},
)
async def create_report(
    request: Request, form: Annotated[ReportForm, Form(media_type=MULTIPART)], services: ServicesOf, limits: LimitsOf
) -> Response:
    """Read a radiograph (DICOM, PNG, JPEG) and write a draft report.

    JSON, or what `Accept` asks for: text/plain, and for a DICOM image application/dicom (Basic Text SR) or
    application/fhir+json (DiagnosticReport).
    """
    media_type = negotiate(request, ("application/json", "text/plain", *DOCUMENT_TYPES))
    if form.instruction is not None:
        _check_prompt("instruction", form.instruction, limits)
    data = await form.image.read()
    if media_type in DOCUMENT_TYPES:
        check_source(data)
    work = pipelines.report(services, data, _options(request, form, limits), form.instruction)
    reading, text = await while_connected(request, limits, work)
    if media_type in DOCUMENT_TYPES:
        document = await asyncio.to_thread(document_of, media_type, data, text, services.bundle)
        return Response(document, media_type=media_type)
    if media_type == "text/plain":
        return PlainTextResponse(text.text + "\n")
    body = ReportBody(
        id=f"report-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=services.bundle.manifest.label,
        report=report_text(text.text),
        image=image_body(reading.radiograph),
        finish_reason=text.finish_reason,
        seed=text.seed,
        usage=_usage(text.usage),
        timings=reading.timings.milliseconds(),
    )
    return JSONResponse(body.model_dump(exclude_none=True))


@router.post(
    "/answers",
    response_model_exclude_none=True,
    summary="Answers to questions about a radiograph",
    openapi_extra={
        "x-curl": "curl -F image=@chest.dcm -F 'question=Is there pneumonia?' http://127.0.0.1:8080/v1/answers"
    },
)
async def create_answers(
    request: Request, form: Annotated[AnswerForm, Form(media_type=MULTIPART)], services: ServicesOf, limits: LimitsOf
) -> AnswersBody:
    """Answer one or several questions about one radiograph, which is encoded once."""
    negotiate(request, ("application/json",))
    within("question", len(form.question), limits.max_questions)
    for question in form.question:
        _check_prompt("question", question, limits)
    work = pipelines.answers(services, await form.image.read(), form.question, _options(request, form, limits))
    reading, texts = await while_connected(request, limits, work)
    return AnswersBody(
        id=f"answers-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=services.bundle.manifest.label,
        answers=[
            AnswerItem(
                question=question,
                answer=text.text,
                finish_reason=text.finish_reason,
                seed=text.seed,
                usage=_usage(text.usage),
            )
            for question, text in zip(form.question, texts, strict=True)
        ],
        image=image_body(reading.radiograph),
        timings=reading.timings.milliseconds(),
    )


@router.post("/images/tokens", response_model_exclude_none=True, summary="The codes of a radiograph")
async def create_tokens(
    request: Request, form: Annotated[ImageForm, Form(media_type=MULTIPART)], services: ServicesOf, limits: LimitsOf
) -> TokensBody:
    """Tokenise a radiograph: one code per grid cell, row by row."""
    negotiate(request, ("application/json",))
    work = pipelines.read(services, await form.image.read(), Timings())
    reading = await while_connected(request, limits, work)
    manifest = services.bundle.manifest
    return TokensBody(
        tokens=list(reading.codes),
        grid=manifest.image.grid,
        codebook_size=manifest.vocabulary.codebook_size,
        image=image_body(reading.radiograph),
    )
