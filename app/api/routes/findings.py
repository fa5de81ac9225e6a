"""Findings: the route that takes a radiograph and gives the probability of each finding that the bundle declares."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response

from app.api.http.context import Context
from app.api.http.forms import form_body, read_form
from app.api.http.json_body import JsonRoute
from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS, respond_json
from app.api.http.task import respond
from app.api.schemas.common import ImageBody, UsageBody
from app.api.schemas.findings import AbnormalBody, FindingItem, FindingsBody, FindingsForm
from app.ids import new_id
from app.inference import findings
from app.inference.backend import EncodedImage
from app.inference.events import Emit, Event, Result
from app.inference.findings import Findings
from app.inference.generation import Caller
from app.telemetry.timings import Timings

router = APIRouter(prefix="/v1", tags=["radiographs"], responses=PROBLEMS, route_class=JsonRoute)
Found = tuple[EncodedImage, Findings]


@dataclass(frozen=True)
class FindingsTask:
    """The findings of an upload. They come at once: there is nothing to stream."""

    context: Context
    form: FindingsForm
    caller: Caller
    timings: Timings = field(default_factory=Timings)

    async def run(self, emit: Emit | None = None) -> Found:
        """Read the radiograph and score every finding."""
        return await findings.findings(self.context.backend, self.form.image, self.timings, self.caller)

    async def events(self, item: Event | Result[Found]) -> Iterable[bytes]:
        """None."""
        return []

    async def respond(self, result: Found) -> Response:
        """JSON."""
        image, found = result
        probability, calibrated = found.abnormal, found.abnormal_calibrated
        body = FindingsBody(
            id=f"findings-{new_id()}",
            created=int(time.time()),
            model=self.context.backend.bundle.manifest.label,
            findings=[FindingItem.from_finding(finding) for finding in found.findings],
            abnormal=None if probability is None else AbnormalBody(probability=probability, calibrated=calibrated),
            calibrated=found.calibrated,
            image=ImageBody.from_image(image),
            usage=UsageBody.from_usage(found.usage),
            timings=self.timings.milliseconds(),
        )
        return respond_json(body, exclude_none=True)


@router.post(
    "/findings",
    response_model=FindingsBody,
    response_model_exclude_none=True,
    summary="The findings of a radiograph, with a probability each",
    openapi_extra={**form_body(FindingsForm), "x-curl": "curl -F image=@chest.dcm http://127.0.0.1:8080/v1/findings"},
)
async def create_findings(request: Request) -> Response:
    """Ask the model for every finding that its bundle declares, and give the probability of each.

    400 `findings_not_offered` where the bundle declares none.
    """
    context = Context.from_request(request)
    form = await read_form(request, FindingsForm)
    negotiate(request, ("application/json",))
    findings.check_declared(context.backend)
    task = FindingsTask(context, form, context.caller_of(form.screen))
    return await respond(context, task, form, stream=False)
