"""Study jobs: list, detail, result, release, retry, cancel."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from app.api.http.negotiation import negotiate
from app.api.http.responses import problems
from app.api.http.visibility import reader_of, touched, viewer_of
from app.api.request_scope import request_scope
from app.api.routes.dicomweb.common import Studies
from app.api.schemas.findings import AbnormalBody
from app.api.schemas.jobs import (
    DeliveryBody,
    JobBody,
    JobFindingItem,
    JobItem,
    JobList,
    ReasonBody,
    SkippedBody,
    StepBody,
)
from app.api.schemas.reports import ReportText
from app.api.state import state_of
from app.errors import Forbidden, NotFound
from app.jobs.documents import DICOM, FHIR
from app.jobs.service import StudyService
from app.security.identity import Scope
from app.store.job_reader import Order
from app.store.job_states import JobState
from app.store.records import Job

router = APIRouter(prefix="/v1/jobs", tags=["studies"])

JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_SEE = (Scope.DICOM_READ, Scope.JOBS_MANAGE)
_RESPONSES = problems(400, 404, 409, 500, 503)


def _item(job: Job, *, reads: bool) -> dict[str, Any]:
    """What lists have of a job; to those who may not read what was found, nothing of it."""
    found = job.findings if reads else None
    abnormal = None if found is None else found.abnormal
    return {
        "id": job.id,
        "study_instance_uid": job.study_uid,
        "revision": job.revision,
        "state": job.state,
        "reason": None if job.reason is None else ReasonBody(**vars(job.reason)),
        "priority": None if found is None else found.priority,
        "abnormal": None if abnormal is None else AbnormalBody(**vars(abnormal)),
        "created": job.created,
        "updated": job.updated,
    }


async def _body(request: Request, studies: StudyService, job_id: str) -> JobBody:
    job = await studies.get(job_id, viewer_of(request, *_SEE))
    await _touch(request, studies, [job])
    reads = await _reads(request, studies, job_id)
    report = job.report if reads else None
    findings = job.findings.findings if reads and job.findings is not None else ()
    return JobBody(
        **_item(job, reads=reads),
        attempts=job.attempts,
        steps=[StepBody(**vars(step)) for step in job.steps],
        skipped=[SkippedBody(**vars(item)) for item in job.skipped],
        image=job.image.sop_instance_uid if job.image else None,
        warnings=list(job.warnings),
        report=ReportText(text=report.text, findings=report.findings, impression=report.impression) if report else None,
        findings=[JobFindingItem.from_stored(finding) for finding in findings],
        doubt=report.doubt if report else None,
        model=report.model if report else None,
        documents=list(job.documents),
        deliveries=[
            DeliveryBody(destination=item.destination, state=item.state, attempts=item.attempts, error=item.error)
            for item in await studies.deliveries(job_id)
        ],
    )


async def _touch(request: Request, studies: StudyService, found: Sequence[Job]) -> None:
    seen = touched(request)
    seen.studies |= {job.study_uid for job in found}
    seen.patients |= await studies.patients(seen.studies)


async def _reads(request: Request, studies: StudyService, job_id: str) -> bool:
    """Whether the client may read what was found: who only manages jobs may not."""
    with contextlib.suppress(NotFound):
        await studies.get(job_id, reader_of(request))
        return True
    return False


@router.get("", responses=problems(400, 403, 500, 503), summary="List jobs")
async def find(
    request: Request,
    studies: Studies,
    state: Annotated[list[JobState] | None, Query(description="may be repeated")] = None,
    study: Annotated[str | None, Query(max_length=64, description="Study Instance UID")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    order: Annotated[Order, Query(description="`priority`: the most urgent and most abnormal first")] = "newest",
) -> JobList:
    """Jobs that the client sees: its tenant's by `dicom:read` or `jobs:manage`, else those of its own studies.

    By priority: `stat`, `asap`, `urgent`, then the others, each from the highest probability of abnormal to the lowest.
    A job whose probability is not known stands where 0.5 would. 403 for who may not read reports: the order tells.
    """
    viewer, reader = viewer_of(request, *_SEE), reader_of(request)
    if order == "priority" and reader != viewer:
        raise Forbidden("The order by priority tells what was found: it takes the scope dicom:read.")
    found, total = await studies.find(
        states=state or (), study_uid=study, limit=limit, offset=offset, viewer=viewer, order=order
    )
    await _touch(request, studies, found)
    return JobList(data=[JobItem(**_item(job, reads=reader == viewer)) for job in found], total=total)


@router.get("/{job_id}", responses=_RESPONSES, summary="A job with its steps, report and deliveries")
async def detail(request: Request, job_id: JobId, studies: Studies) -> JobBody:
    """What has become of a revision of a study so far; its report by `dicom:read`, or where the client has sent it."""
    return await _body(request, studies, job_id)


@router.get(
    "/{job_id}/report",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {}, "application/dicom": {}, "application/fhir+json": {}},
            "description": "The report",
        },
        **problems(400, 404, 406, 410, 500, 503),
    },
    summary="A job's report as text, as the DICOM SR that was written, or as a FHIR DiagnosticReport",
)
async def report(request: Request, job_id: JobId, studies: Studies) -> Response:
    """The report by content negotiation."""
    kind = negotiate(request, ("text/plain", DICOM, FHIR))
    job, document = await studies.document(job_id, reader_of(request))
    await _touch(request, studies, [job])
    assert job.report is not None
    if kind == "text/plain":
        return PlainTextResponse("\n".join([*(f"WARNING: {one}" for one in job.warnings), job.report.text]))
    if document is None:
        raise NotFound("The job has no document.")
    if kind == DICOM:
        return FileResponse(document, media_type=kind)
    # The document has the image's patient and study attributes, and is kept when the image is not.
    return Response(await studies.fhir(job, document), media_type=kind)


@router.post("/{job_id}/release", status_code=202, responses=_RESPONSES, summary="Release a report from review")
async def release(request: Request, job_id: JobId, studies: Studies) -> JobBody:
    """Have the report of a job in review written and delivered as it stands; 409 where the job is not in review."""
    viewer = viewer_of(request, Scope.JOBS_MANAGE)
    await _touch(request, studies, [await studies.get(job_id, viewer)])
    await studies.operations.release(job_id, viewer)
    return await _body(request, studies, job_id)


@router.post("/{job_id}/retry", status_code=202, responses=_RESPONSES, summary="Run a failed or cancelled job again")
async def retry(request: Request, job_id: JobId, studies: Studies) -> JobBody:
    """From its documents, or a report that was released, where it has them, else from the beginning."""
    viewer = viewer_of(request, Scope.JOBS_MANAGE)
    await _touch(request, studies, [await studies.get(job_id, viewer)])
    guard, identity = state_of(request).started_guard, request_scope(request.scope).identity
    await studies.operations.retry(job_id, viewer, partial(guard.limiter.reserve, identity))
    return await _body(request, studies, job_id)


@router.delete("/{job_id}", status_code=202, responses=_RESPONSES, summary="Cancel a job")
async def cancel(request: Request, job_id: JobId, studies: Studies) -> JobBody:
    """The step under way is ended; nothing further is generated, written or delivered. What is stored stays."""
    viewer = viewer_of(request, Scope.JOBS_MANAGE)
    await _touch(request, studies, [await studies.get(job_id, viewer)])
    await studies.operations.cancel(job_id, viewer)
    return await _body(request, studies, job_id)
