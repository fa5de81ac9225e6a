"""Deletion of studies and of parts of them: what is held, the workflows' rows and the index entries with it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.http.responses import problems
from app.api.http.visibility import touched
from app.api.routes.dicomweb.common import Studies, Uid
from app.errors import Conflict
from app.jobs.service import StudyService
from app.store.erasure import Target

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

_RESPONSES = problems(400, 404, 409, 500, 503)
Apart = Annotated[bool, Query(description="also what is kept apart under its UID, which is another sender's")]
Documents = Annotated[bool, Query(description="also what was written of it: documents, reports, jobs")]


async def _delete(request: Request, studies: StudyService, target: Target) -> Response:
    seen = touched(request)
    seen.studies.add(str(target.study))
    erased = await studies.erase(target)
    seen.patients |= erased.patients
    seen.instances = erased.instances
    if erased.left:
        raise Conflict("The study is being read or sent; delete it as a whole, or when its job is over.")
    return Response(status_code=204)


@router.delete("/studies/{study}", status_code=204, responses=_RESPONSES, summary="Delete a study")
async def delete_study(
    request: Request, study: Uid, studies: Studies, documents: Documents = True, apart: Apart = False
) -> Response:
    """Everything that is held of a study. Jobs under way are cancelled. It cannot be taken back."""
    return await _delete(request, studies, Target(study=study, documents=documents, apart=apart))


@router.delete("/studies/{study}/series/{series}", status_code=204, responses=_RESPONSES, summary="Delete a series")
async def delete_series(
    request: Request, study: Uid, series: Uid, studies: Studies, documents: Documents = False
) -> Response:
    """The instances of a series; with `documents` also the reports on one of them."""
    return await _delete(request, studies, Target(study=study, series=series, documents=documents))


@router.delete(
    "/studies/{study}/series/{series}/instances/{instance}",
    status_code=204,
    responses=_RESPONSES,
    summary="Delete an instance",
)
async def delete_instance(
    request: Request, study: Uid, series: Uid, instance: Uid, studies: Studies, documents: Documents = False
) -> Response:
    """One instance; with `documents` also the reports on it."""
    return await _delete(request, studies, Target(study=study, series=series, instance=instance, documents=documents))
