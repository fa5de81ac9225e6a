"""Study jobs: list, detail, result, retry, cancel."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from app.api.http.requests import negotiate
from app.api.http.responses import problems
from app.api.routes.dicomweb.common import StudiesOf
from app.api.schemas.jobs import DeliveryBody, JobBody, JobItem, JobList, Reason, SkippedBody, State, StepBody
from app.api.schemas.reports import ReportText
from app.errors import NotFound
from app.jobs.documents import fhir_of
from app.jobs.service import Studies
from app.store.jobs import CANCELLED, Job

router = APIRouter(prefix="/v1/jobs", tags=["studies"])

JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_RESPONSES = problems(400, 404, 409, 500, 503)


def _item(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "study_instance_uid": job.study_uid,
        "revision": job.revision,
        "state": job.state,
        "reason": None if job.reason is None else Reason(**job.reason),
        "created": job.created,
        "updated": job.updated,
    }


async def _body(studies: Studies, job_id: str) -> JobBody:
    job = await asyncio.to_thread(studies.jobs.get, job_id)
    deliveries = await asyncio.to_thread(studies.jobs.deliveries, job_id)
    report = job.report
    return JobBody(
        **_item(job),
        attempts=job.attempts,
        steps=[StepBody(**step) for step in job.steps],
        skipped=[SkippedBody(**item) for item in job.skipped],
        image=job.image["sop_instance_uid"] if job.image else None,
        warnings=job.image["warnings"] if job.image else [],
        report=ReportText(**{name: report[name] for name in ("text", "findings", "impression")}) if report else None,
        model=report["model"] if report else None,
        documents=job.documents,
        deliveries=[
            DeliveryBody(destination=item.destination, state=item.state, attempts=item.attempts, error=item.error)
            for item in deliveries
        ],
    )


@router.get("", responses=problems(400, 500, 503), summary="List jobs")
async def find(
    studies: StudiesOf,
    state: Annotated[list[State] | None, Query(description="may be repeated")] = None,
    study: Annotated[str | None, Query(max_length=64, description="Study Instance UID")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> JobList:
    """Jobs, newest first."""
    found, total = await asyncio.to_thread(
        lambda: studies.jobs.find(states=state or (), study_uid=study, limit=limit, offset=offset)
    )
    return JobList(data=[JobItem(**_item(job)) for job in found], total=total)


@router.get("/{job_id}", responses=_RESPONSES, summary="A job with its steps, report and deliveries")
async def detail(job_id: JobId, studies: StudiesOf) -> JobBody:
    """What has become of a revision of a study so far."""
    return await _body(studies, job_id)


@router.get(
    "/{job_id}/report",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {}, "application/dicom": {}, "application/fhir+json": {}},
            "description": "The report",
        },
        **problems(400, 404, 406, 500, 503),
    },
    summary="A job's report as text, as the DICOM SR that was written, or as a FHIR DiagnosticReport",
)
async def report(request: Request, job_id: JobId, studies: StudiesOf) -> Response:
    """The report by content negotiation."""
    kind = negotiate(request, ("text/plain", "application/dicom", "application/fhir+json"))
    job = await asyncio.to_thread(studies.jobs.get, job_id)
    if job.report is None or (kind != "text/plain" and not job.documents):
        raise NotFound("The job has no report.")
    if kind == "text/plain":
        return PlainTextResponse(job.report["text"])
    files = await asyncio.to_thread(studies.results.files, job.documents[:1])
    if kind == "application/dicom":
        return FileResponse(files[0], media_type=kind)
    # The document has the image's patient and study attributes, and is kept when the image is not.
    return Response(await asyncio.to_thread(fhir_of, job.report, files[0]), media_type=kind)


@router.post("/{job_id}/retry", status_code=202, responses=_RESPONSES, summary="Run a failed or cancelled job again")
async def retry(job_id: JobId, studies: StudiesOf) -> JobBody:
    """From its documents where it has some, else from the beginning."""
    await asyncio.to_thread(studies.again, job_id)
    return await _body(studies, job_id)


@router.delete("/{job_id}", status_code=202, responses=_RESPONSES, summary="Cancel a job")
async def cancel(job_id: JobId, studies: StudiesOf) -> JobBody:
    """The step under way ends; nothing further is written or delivered. What is stored stays."""
    await asyncio.to_thread(studies.jobs.move, job_id, CANCELLED)
    await asyncio.to_thread(studies.jobs.release_revision, job_id)
    return await _body(studies, job_id)
