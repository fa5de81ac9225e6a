"""Reports and answers: routes that take a radiograph and give text."""

import asyncio
import time
from functools import partial
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.api.http.forms import form_body, read_form
from app.api.http.requests import (
    caller_of,
    check_prompt,
    limits_of,
    negotiate,
    services_of,
    while_connected,
    within,
)
from app.api.http.responses import PROBLEMS, respond_json
from app.api.http.sse import EVENT_STREAM, event, respond_with_events
from app.api.schemas.reports import (
    AnswerForm,
    AnswerItem,
    AnswersBody,
    ImageBody,
    ReportBody,
    ReportForm,
    ReportText,
    SamplingForm,
    UsageBody,
)
from app.ids import new_id
from app.imaging import Radiograph
from app.inference import pipelines
from app.inference.backend import Services
from app.inference.generation import Options, Usage
from app.jobs.upload_documents import DOCUMENT_TYPES, check_source, document_of
from app.settings import LimitsSettings
from models.report_text import sections

_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {}}}}
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {form: {} for form in ("text/plain", EVENT_STREAM, *DOCUMENT_TYPES)}}
}
router = APIRouter(prefix="/v1", tags=["radiographs"], responses=PROBLEMS)


def _options(request: Request, form: SamplingForm, limits: LimitsSettings) -> Options:
    within("max_tokens", form.max_tokens, limits.max_text_tokens)
    return Options(form.temperature, form.top_p, form.max_tokens, form.seed, caller_of(request))


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
    responses=_FORMS,
    summary="A draft report on a radiograph",
    openapi_extra={
        **form_body(ReportForm),
        "x-curl": "curl -F image=@chest.dcm http://127.0.0.1:8080/v1/reports",
    },
)
async def create_report(request: Request) -> Response:
    """Read a radiograph (DICOM, PNG, JPEG) and write a draft report.

    JSON, or what `Accept` asks for: text/plain, text/event-stream (`report.delta`, `report.completed`), and for a DICOM
    image application/dicom (Basic Text SR) or application/fhir+json (DiagnosticReport).
    """
    services, limits = services_of(request), limits_of(request)
    form = await read_form(request, ReportForm)
    media_type = negotiate(request, ("application/json", "text/plain", EVENT_STREAM, *DOCUMENT_TYPES))
    if form.instruction is not None:
        check_prompt("instruction", form.instruction, limits)
    data = form.image
    if media_type in DOCUMENT_TYPES:
        await asyncio.to_thread(check_source, data)
    options = _options(request, form, limits)
    if media_type == EVENT_STREAM:
        work = partial(pipelines.report, services, data, options, form.instruction)
        return await respond_with_events(
            request, limits, lambda show: work(show=show), partial(_report_events, services)
        )
    reading, text = await while_connected(request, limits, pipelines.report(services, data, options, form.instruction))
    if media_type in DOCUMENT_TYPES:
        document = await asyncio.to_thread(document_of, media_type, data, text, services.bundle)
        return Response(document, media_type=media_type)
    if media_type == "text/plain":
        return PlainTextResponse(text.text + "\n")
    return respond_json(_report_body(services, reading, text), exclude_none=True)


def _report_body(services: Services, reading: pipelines.Reading, text: pipelines.Text) -> ReportBody:
    return ReportBody(
        id=f"report-{new_id()}",
        created=int(time.time()),
        model=services.bundle.manifest.label,
        report=report_text(text.text),
        image=image_body(reading.radiograph),
        finish_reason=text.finish_reason,
        seed=text.seed,
        usage=_usage(text.usage),
        timings=reading.timings.milliseconds(),
    )


def _report_events(services: Services, item: object) -> list[bytes]:
    if isinstance(item, pipelines.Piece):
        return [event({"type": "report.delta", "delta": item.text}, "report.delta")]
    body = _report_body(services, *cast(tuple[pipelines.Reading, pipelines.Text], item))
    return [event({"type": "report.completed", **body.model_dump(exclude_none=True)}, "report.completed")]


@router.post(
    "/answers",
    response_model=AnswersBody,
    response_model_exclude_none=True,
    responses=_STREAM,
    summary="Answers to questions about a radiograph",
    openapi_extra={
        **form_body(AnswerForm),
        "x-curl": "curl -F image=@chest.dcm -F 'question=Is there pneumonia?' http://127.0.0.1:8080/v1/answers",
    },
)
async def create_answers(request: Request) -> Response:
    """Answer one or several questions about one radiograph, which is encoded once.

    JSON, or by `Accept` text/event-stream: `answer.delta` with the question's index, `answers.completed`.
    """
    services, limits = services_of(request), limits_of(request)
    form = await read_form(request, AnswerForm)
    media_type = negotiate(request, ("application/json", EVENT_STREAM))
    within("question", len(form.question), limits.max_questions)
    for question in form.question:
        check_prompt("question", question, limits)
    data, options = form.image, _options(request, form, limits)
    if media_type == EVENT_STREAM:
        work = partial(pipelines.answers, services, data, form.question, options)
        events = partial(_answer_events, services, form.question)
        return await respond_with_events(request, limits, lambda show: work(show=show), events)
    reading, texts = await while_connected(request, limits, pipelines.answers(services, data, form.question, options))
    return respond_json(_answers_body(services, form.question, reading, texts), exclude_none=True)


def _answer_events(services: Services, questions: list[str], item: object) -> list[bytes]:
    if isinstance(item, pipelines.Piece):
        return [event({"type": "answer.delta", "index": item.index, "delta": item.text}, "answer.delta")]
    reading, texts = cast(tuple[pipelines.Reading, list[pipelines.Text]], item)
    body = _answers_body(services, questions, reading, texts)
    return [event({"type": "answers.completed", **body.model_dump(exclude_none=True)}, "answers.completed")]


def _answers_body(
    services: Services, questions: list[str], reading: pipelines.Reading, texts: list[pipelines.Text]
) -> AnswersBody:
    return AnswersBody(
        id=f"answers-{new_id()}",
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
            for question, text in zip(questions, texts, strict=True)
        ],
        image=image_body(reading.radiograph),
        timings=reading.timings.milliseconds(),
    )
