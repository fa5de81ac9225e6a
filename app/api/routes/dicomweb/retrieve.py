"""WADO-RS: instances and their metadata as they are held (PS3.18 10.4)."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pydicom
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from app.api.http.requests import negotiate
from app.api.http.responses import PROBLEMS
from app.api.routes.dicomweb.common import DICOM_JSON, DicomJson, StudiesOf, Uid, base_url
from app.dicom.multipart import write_parts
from app.errors import NotAcceptable, NotFound
from app.jobs.service import Studies

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

_DICOM, _RELATED = "application/dicom", "multipart/related"
_INLINE_BYTES = 65_536
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The instances in the transfer syntax in which they are held",
        "content": {_RELATED: {}, _DICOM: {}},
    },
    **{status: PROBLEMS[status] for status in (400, 406, 500, 503)},
    404: {"description": "Nothing of it is held", **{"content": {"application/problem+json": {}}}},
}
_METADATA: dict[int | str, dict[str, Any]] = {
    **_BYTES,
    200: {"description": "DICOM JSON without bulk data", "content": {DICOM_JSON: {}}},
}


async def _held(studies: Studies, study: str, series: str | None = None, sop: str | None = None) -> list[Any]:
    rows = await asyncio.to_thread(studies.search.instance, study, series, sop)
    held = [row for row in rows if row.file is not None]
    if not held:
        raise NotFound("Nothing of it is held." if not rows else "The retention time of its pixel data is over.")
    return held


async def _bytes(request: Request, studies: Studies, rows: list[Any]) -> Response:
    accept = request.headers.get("accept", "*/*").lower()
    if "multipart/related" in accept and "type=" in accept and _DICOM not in accept:
        raise NotAcceptable('Instances are offered as multipart/related; type="application/dicom".')
    kind = negotiate(request, (_RELATED, _DICOM) if len(rows) == 1 else (_RELATED,))
    paths = [studies.spool.path(row.file) for row in rows]
    if kind == _DICOM:
        return FileResponse(paths[0], media_type=_DICOM)
    boundary = uuid.uuid4().hex
    media_type = f'{_RELATED}; type="{_DICOM}"; boundary={boundary}'
    return StreamingResponse(write_parts(paths, boundary), media_type=media_type)


async def _metadata(request: Request, studies: Studies, rows: list[Any]) -> Response:
    negotiate(request, (DICOM_JSON, "application/json"))
    place = base_url(request)
    found = [await asyncio.to_thread(_json_of, studies.spool.path(row.file), place, row) for row in rows]
    return DicomJson(json.dumps(found))


def _json_of(path: Path, place: str, row: Any) -> dict[str, Any]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True, defer_size=_INLINE_BYTES)
    uri = f"{place}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"
    return dataset.to_json_dict(  # type: ignore[no-any-return]
        bulk_data_threshold=1_024, bulk_data_element_handler=lambda _: uri, suppress_invalid_tags=True
    )


@router.get("/studies/{study}", responses=_BYTES, response_class=Response, summary="Retrieve a study")
async def study(request: Request, study: Uid, studies: StudiesOf) -> Response:
    """All instances of a study, results included."""
    return await _bytes(request, studies, await _held(studies, study))


@router.get("/studies/{study}/metadata", responses=_METADATA, response_class=DicomJson, summary="A study's metadata")
async def study_metadata(request: Request, study: Uid, studies: StudiesOf) -> Response:
    """Headers of all instances of a study."""
    return await _metadata(request, studies, await _held(studies, study))


@router.get("/studies/{study}/series/{series}", responses=_BYTES, response_class=Response, summary="Retrieve a series")
async def series(request: Request, study: Uid, series: Uid, studies: StudiesOf) -> Response:
    """All instances of a series."""
    return await _bytes(request, studies, await _held(studies, study, series))


@router.get(
    "/studies/{study}/series/{series}/metadata",
    responses=_METADATA,
    response_class=DicomJson,
    summary="A series' metadata",
)
async def series_metadata(request: Request, study: Uid, series: Uid, studies: StudiesOf) -> Response:
    """Headers of all instances of a series."""
    return await _metadata(request, studies, await _held(studies, study, series))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}",
    responses=_BYTES,
    response_class=Response,
    summary="Retrieve an instance",
)
async def instance(request: Request, study: Uid, series: Uid, instance: Uid, studies: StudiesOf) -> Response:
    """One instance, as multipart/related or as application/dicom."""
    return await _bytes(request, studies, await _held(studies, study, series, instance))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/metadata",
    responses=_METADATA,
    response_class=DicomJson,
    summary="An instance's metadata",
)
async def instance_metadata(request: Request, study: Uid, series: Uid, instance: Uid, studies: StudiesOf) -> Response:
    """The header of one instance."""
    return await _metadata(request, studies, await _held(studies, study, series, instance))
