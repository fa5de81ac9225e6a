"""Reports and answers: routes that take a radiograph and give text."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.api.http.context import Context, check_count, check_prompt
from app.api.http.forms import form_body, read_form
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS, respond_json
from app.api.http.sse import EVENT_STREAM, event
from app.api.http.task import respond
from app.api.schemas.common import ImageBody, SamplingForm, UsageBody
from app.api.schemas.reports import AnswerForm, AnswerItem, AnswersBody, ReportBody, ReportForm, ReportText
from app.api.state import state_of
from app.errors import InvalidRequest
from app.ids import new_id
from app.imaging.headers import Headers
from app.inference import pipelines
from app.inference.backend import EncodedImage
from app.inference.doubt import doubted_report
from app.inference.events import Emit, Event, Result, TextDelta
from app.inference.generation import Options
from app.inference.writing import GeneratedText
from app.jobs.documents import DOCUMENT_TYPES, check_source, upload_document
from app.telemetry.timings import Timings
from models.agreement import LOW_AGREEMENT, Agreement
from models.findings.yes_no import probability_of_yes

_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {}}}}
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {form: {} for form in ("text/plain", EVENT_STREAM, *DOCUMENT_TYPES)}}
}
router = APIRouter(prefix="/v1", tags=["radiographs"], responses=PROBLEMS, route_class=JsonRoute)

ReadReport = tuple[EncodedImage, GeneratedText, Agreement | None]
ReadTexts = tuple[EncodedImage, list[GeneratedText]]


def _options(context: Context, form: SamplingForm) -> Options:
    check_count("max_tokens", form.max_tokens, context.limits.max_text_tokens)
    return Options(form.temperature, form.top_p, form.max_tokens, form.seed, context.caller_of(form.screen))


@dataclass(frozen=True)
class ReportTask:
    """A report on an upload, in the media type that was asked for."""

    context: Context
    form: ReportForm
    media_type: str
    options: Options
    headers: Headers
    timings: Timings = field(default_factory=Timings)

    async def run(self, emit: Emit | None = None) -> ReadReport:
        """Read the radiograph and write the report, and further ones where samples are asked for."""
        backend, form, told = self.context.backend, self.form, (self.timings, self.form.instruction, emit)
        if form.samples == 1:
            return *await pipelines.report(backend, form.image, self.options, *told), None
        image = await pipelines.encode(backend, form.image, self.timings, self.options.caller)
        return image, *await doubted_report(backend, image.codes, form.samples, self.options, *told)

    async def respond(self, result: ReadReport) -> Response:
        """JSON, text, or a document."""
        image, text, agreement = result
        warnings, limit = image.radiograph.warnings, self.form.doubt_above
        if agreement is not None and limit is not None and agreement.doubt > limit:
            warnings = (*warnings, LOW_AGREEMENT)
        if self.media_type in DOCUMENT_TYPES:
            bundle = self.context.backend.bundle
            zone = state_of(self.context.request).settings.zone
            document = await asyncio.to_thread(
                upload_document, self.media_type, self.form.image, text, warnings, bundle, self.headers, zone
            )
            return Response(document, media_type=self.media_type)
        if self.media_type == "text/plain":
            return PlainTextResponse("\n".join([*(f"WARNING: {warning}" for warning in warnings), text.text, ""]))
        return respond_json(self._body(result), exclude_none=True)

    async def events(self, item: Event | Result[ReadReport]) -> Iterable[bytes]:
        """`report.delta`, and `report.completed` at the end."""
        if isinstance(item, TextDelta):
            return [event({"type": "report.delta", "delta": item.text}, "report.delta")]
        if not isinstance(item, Result):
            return []
        body = self._body(item.value).model_dump(exclude_none=True)
        return [event({"type": "report.completed", **body}, "report.completed")]

    def _body(self, result: ReadReport) -> ReportBody:
        image, text, agreement = result
        return ReportBody(
            id=f"report-{new_id()}",
            created=int(time.time()),
            model=self.context.backend.bundle.manifest.label,
            report=ReportText.from_text(text.text),
            image=ImageBody.from_image(image),
            **ReportBody.agreement(agreement),
            finish_reason=text.finish_reason,
            seed=text.seed,
            usage=UsageBody.from_usage(text.usage),
            timings=self.timings.milliseconds(),
        )


def _check_samples(form: ReportForm, media_type: str) -> None:
    """Refuse samples whose agreement nothing in the answer would tell: they would be paid for in vain.

    Raises InvalidRequest.
    """
    if form.samples == 1 and form.doubt_above is not None:
        raise InvalidRequest("doubt_above: it needs samples, 2 or more", code="doubt_above")
    if form.samples > 1 and form.doubt_above is None and media_type not in ("application/json", EVENT_STREAM):
        detail = f"samples: {media_type} tells of doubt by a warning alone: say by doubt_above when, or accept JSON"
        raise InvalidRequest(detail, code="doubt_not_told")


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

    With `samples` from 2, JSON and `report.completed` say how far so many further reports agree with this one.
    """
    context, headers = Context.from_request(request), state_of(request).headers
    form = await read_form(request, ReportForm)
    media_type = negotiate(request, ("application/json", "text/plain", EVENT_STREAM, *DOCUMENT_TYPES))
    if form.instruction is not None:
        check_prompt("instruction", form.instruction, context.limits)
    _check_samples(form, media_type)
    if media_type in DOCUMENT_TYPES:
        await asyncio.to_thread(check_source, form.image, headers)
    task = ReportTask(context, form, media_type, _options(context, form), headers)
    return await respond(context, task, form, stream=media_type == EVENT_STREAM, media_type=media_type)


@dataclass(frozen=True)
class AnswersTask:
    """Answers to the questions of a form."""

    context: Context
    form: AnswerForm
    options: Options
    timings: Timings = field(default_factory=Timings)

    async def run(self, emit: Emit | None = None) -> ReadTexts:
        """Read the radiograph once and answer every question."""
        return await pipelines.answers(
            self.context.backend,
            self.form.image,
            self.form.question,
            self.options,
            self.timings,
            emit,
            probabilities=self.form.probabilities,
        )

    async def respond(self, result: ReadTexts) -> Response:
        """JSON."""
        return respond_json(self._body(result), exclude_none=True)

    async def events(self, item: Event | Result[ReadTexts]) -> Iterable[bytes]:
        """`answer.delta` with the question's index, and `answers.completed` at the end."""
        if isinstance(item, TextDelta):
            return [event({"type": "answer.delta", "index": item.index, "delta": item.text}, "answer.delta")]
        if not isinstance(item, Result):
            return []
        body = self._body(item.value).model_dump(exclude_none=True)
        return [event({"type": "answers.completed", **body}, "answers.completed")]

    def _body(self, result: ReadTexts) -> AnswersBody:
        image, texts = result
        return AnswersBody(
            id=f"answers-{new_id()}",
            created=int(time.time()),
            model=self.context.backend.bundle.manifest.label,
            answers=[
                AnswerItem(
                    question=question,
                    answer=text.text,
                    probability=probability_of_yes(*text.log_likelihoods) if text.log_likelihoods else None,
                    finish_reason=text.finish_reason,
                    seed=text.seed,
                    usage=UsageBody.from_usage(text.usage),
                )
                for question, text in zip(self.form.question, texts, strict=True)
            ],
            image=ImageBody.from_image(image),
            timings=self.timings.milliseconds(),
        )


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

    With `probabilities=true` a question that asks for yes or no has the probability of yes beside its answer.

    JSON, or by `Accept` text/event-stream: `answer.delta` with the question's index, `answers.completed`.
    """
    context = Context.from_request(request)
    form = await read_form(request, AnswerForm)
    media_type = negotiate(request, ("application/json", EVENT_STREAM))
    check_count("question", len(form.question), context.limits.max_questions)
    for question in form.question:
        check_prompt("question", question, context.limits)
    task = AnswersTask(context, form, _options(context, form))
    return await respond(context, task, form, stream=media_type == EVENT_STREAM)
