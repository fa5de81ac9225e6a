"""Evidence: the route that takes a radiograph and a statement, and gives the map of what the statement depends on."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from app.api.http.context import Context, check_prompt
from app.api.http.forms import form_body, read_form
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS, respond_json
from app.api.http.task import respond
from app.api.schemas.common import NOTICE, ImageBody, UsageBody
from app.api.schemas.evidence import EvidenceBody, EvidenceForm, ReplacedBody
from app.api.state import state_of
from app.dicom.evidence_capture import Overlay, as_png
from app.errors import InvalidRequest
from app.ids import new_id
from app.imaging.headers import Headers
from app.inference import evidence
from app.inference.backend import EncodedImage
from app.inference.events import Emit, Event, Result
from app.inference.evidence import Asked, Evidence
from app.inference.generation import Caller
from app.jobs.documents import DICOM, check_source, evidence_document
from app.telemetry.timings import Timings

PNG = "image/png"
_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {PNG: {}, DICOM: {}}}}
router = APIRouter(prefix="/v1", tags=["radiographs"], responses=PROBLEMS, route_class=JsonRoute)
Found = tuple[EncodedImage, Evidence]


def asked_of(form: EvidenceForm) -> Asked:
    """What evidence is asked of. Raises InvalidRequest where it is not exactly one thing."""
    if form.statement is not None and form.question is not None:
        raise InvalidRequest("statement: a map is of a statement or of a question; send one of them", code="two_asked")
    if form.statement is not None:
        return Asked(form.statement, context=form.context or "")
    if form.context is not None:
        raise InvalidRequest("context: it stands before a statement, and none was sent", code="context_of_nothing")
    if form.question is not None:
        return Asked(form.question, is_question=True)
    raise InvalidRequest("statement: say of what the map is: send a statement or a question", code="nothing_asked")


@dataclass(frozen=True)
class EvidenceTask:
    """The map of an upload, in the media type that was asked for. It comes at once: there is nothing to stream."""

    context: Context
    form: EvidenceForm
    asked: Asked
    media_type: str
    caller: Caller
    headers: Headers
    timings: Timings = field(default_factory=Timings)

    async def run(self, emit: Emit | None = None) -> Found:
        """Read the radiograph and score every intervention."""
        return await evidence.evidence(self.context.backend, self.form.image, self.asked, self.timings, self.caller)

    async def events(self, item: Event | Result[Found]) -> Iterable[bytes]:
        """None."""
        return []

    async def respond(self, result: Found) -> Response:
        """JSON, a picture, or a Secondary Capture."""
        image, found = result
        if self.media_type == "application/json":
            return respond_json(self._body(image, found), exclude_none=True)
        bundle = self.context.backend.bundle
        asked = self.asked.text if self.asked.is_question else ""
        pixels, label = image.radiograph.pixels, bundle.manifest.label
        overlay = Overlay(pixels, found.map, found.scored, found.log_probability, label, asked)
        if self.media_type == PNG:
            return Response(await asyncio.to_thread(as_png, overlay, NOTICE), media_type=PNG)
        zone = state_of(self.context.request).settings.zone
        warnings = image.radiograph.warnings
        document = await asyncio.to_thread(
            evidence_document, self.form.image, overlay, warnings, bundle, self.headers, zone
        )
        return Response(document, media_type=DICOM)

    def _body(self, image: EncodedImage, found: Evidence) -> EvidenceBody:
        columns = self.context.backend.bundle.manifest.image.grid[1]
        first = found.regions[0]
        wide = sum(place < columns for place in first)
        return EvidenceBody(
            id=f"evidence-{new_id()}",
            created=int(time.time()),
            model=self.context.backend.bundle.manifest.label,
            statement=self.form.statement,
            question=self.form.question,
            answer=found.scored if self.asked.is_question else None,
            log_probability=round(found.log_probability, 6),
            map=[[round(weight, 6) for weight in row] for row in found.map],
            replaced=ReplacedBody(
                regions=len(found.regions), rows=len(first) // wide, columns=wide, by=found.replacement
            ),
            image=ImageBody.from_image(image),
            usage=UsageBody.from_usage(found.usage),
            timings=self.timings.milliseconds(),
        )


@router.post(
    "/evidence",
    response_model=EvidenceBody,
    response_model_exclude_none=True,
    responses=_FORMS,
    summary="Where in a radiograph a statement or an answer comes from",
    openapi_extra={
        **form_body(EvidenceForm),
        "x-curl": "curl -F image=@chest.dcm -F 'statement=Focal consolidation.' http://127.0.0.1:8080/v1/evidence",
    },
)
async def create_evidence(request: Request) -> Response:
    """Replace one region of the image's codes after another, and give the loss of the statement's log-probability.

    JSON, or by `Accept` image/png (the radiograph with the map over it), and for a DICOM image application/dicom (the
    same as a Secondary Capture in its study). The map says what the model depends on; it is no finding.
    """
    context, headers = Context.from_request(request), state_of(request).headers
    form = await read_form(request, EvidenceForm)
    media_type = negotiate(request, ("application/json", PNG, DICOM))
    asked = asked_of(form)
    named = "question" if asked.is_question else "context and statement" if asked.context else "statement"
    check_prompt(named, asked.context + asked.text, context.limits)
    evidence.check_asked(context.backend, asked)
    if media_type == DICOM:
        await asyncio.to_thread(check_source, form.image, headers)
    task = EvidenceTask(context, form, asked, media_type, context.caller_of(form.screen), headers)
    return await respond(context, task, form, stream=False, media_type=media_type)
