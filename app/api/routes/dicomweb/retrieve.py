"""WADO-RS: instances and their metadata as they are held (PS3.18 10.4)."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from app.api.http.negotiation import chosen, elements_of, negotiate
from app.api.http.responses import PROBLEMS
from app.api.http.visibility import reader_of, touched
from app.api.routes.dicomweb.common import DICOM_JSON, DicomJson, Studies, Uid, base_url
from app.api.state import state_of
from app.dicom.multipart import write_parts
from app.errors import NotAcceptable
from app.store.search import StoredInstance

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

Held = tuple[StoredInstance, Path]
_DICOM, _RELATED = "application/dicom", "multipart/related"
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The instances in the transfer syntax in which they are held",
        "content": {_RELATED: {}, _DICOM: {}},
    },
    **{status: PROBLEMS[status] for status in (400, 406, 500, 503)},
    404: {"description": "Nothing of it is held", **{"content": {"application/problem+json": {}}}},
    410: PROBLEMS[410],
}
_METADATA: dict[int | str, dict[str, Any]] = {
    **_BYTES,
    200: {"description": "DICOM JSON without bulk data", "content": {DICOM_JSON: {}}},
    **{status: PROBLEMS[status] for status in (413, 422, 429)},
}


def _touch(request: Request, held: list[Held]) -> None:
    seen = touched(request)
    seen.studies |= {instance.study_uid for instance, _ in held}
    seen.patients |= {instance.patient_id for instance, _ in held}
    seen.instances += len(held)


async def _bytes(request: Request, held: list[Held]) -> Response:
    _touch(request, held)
    kind = _kind(request, held)
    paths = [path for _, path in held]
    # PS3.18 8.7.3.5: an answer names the syntax that it is in.
    types = [f"{_DICOM}; transfer-syntax={instance.transfer_syntax_uid}" for instance, _ in held]
    if kind == _DICOM:
        return FileResponse(paths[0], media_type=types[0])
    boundary = uuid.uuid4().hex
    media_type = f'{_RELATED}; type="{_DICOM}"; boundary={boundary}'
    return StreamingResponse(write_parts(paths, boundary, types), media_type=media_type)


def _kind(request: Request, held: list[Held]) -> str:
    """The media type that is asked for, by Accept or the query parameter before it (PS3.18 8.3.3.1).

    Raises NotAcceptable where other parts or another transfer syntax are asked for than are held.
    """
    accept = request.query_params.get("accept") or ",".join(request.headers.getlist("accept"))
    syntaxes = {instance.transfer_syntax_uid for instance, _ in held}
    admitted = []
    for name, parameters in elements_of(accept):
        asked = parameters.get("transfer-syntax", "*")
        if parameters.get("type", _DICOM).lower() == _DICOM and (asked == "*" or syntaxes == {asked}):
            admitted.append(f"{name};q={parameters.get('q', '1')}")
    if not admitted:
        raise NotAcceptable(
            f'Instances are offered as multipart/related; type="{_DICOM}" in the transfer syntax in which they are'
            f" held: {', '.join(sorted(syntaxes))}. None is transcoded."
        )
    return chosen(",".join(admitted), (_RELATED, _DICOM) if len(held) == 1 else (_RELATED,))


async def _metadata(request: Request, held: list[Held]) -> Response:
    _touch(request, held)
    negotiate(request, (DICOM_JSON, "application/json"))
    place, headers = base_url(request), state_of(request).headers
    # The first decides the status; the others follow as they are sent, so that no study's metadata is in memory.
    first = await headers.metadata(held[0][1], _uri(place, held[0][0]))

    async def body() -> AsyncIterator[bytes]:
        yield b"[" + first
        for instance, path in held[1:]:
            yield b"," + await headers.metadata(path, _uri(place, instance))
        yield b"]"

    return StreamingResponse(body(), media_type=DICOM_JSON)


def _uri(place: str, instance: StoredInstance) -> str:
    return f"{place}/studies/{instance.study_uid}/series/{instance.series_uid}/instances/{instance.sop_instance_uid}"


@router.get("/studies/{study}", responses=_BYTES, response_class=Response, summary="Retrieve a study")
async def study(request: Request, study: Uid, studies: Studies) -> Response:
    """All instances of a study, results included."""
    return await _bytes(request, await studies.instances(study, viewer=reader_of(request)))


@router.get("/studies/{study}/metadata", responses=_METADATA, response_class=DicomJson, summary="A study's metadata")
async def study_metadata(request: Request, study: Uid, studies: Studies) -> Response:
    """Headers of all instances of a study."""
    return await _metadata(request, await studies.instances(study, viewer=reader_of(request)))


@router.get("/studies/{study}/series/{series}", responses=_BYTES, response_class=Response, summary="Retrieve a series")
async def series(request: Request, study: Uid, series: Uid, studies: Studies) -> Response:
    """All instances of a series."""
    return await _bytes(request, await studies.instances(study, series, viewer=reader_of(request)))


@router.get(
    "/studies/{study}/series/{series}/metadata",
    responses=_METADATA,
    response_class=DicomJson,
    summary="A series' metadata",
)
async def series_metadata(request: Request, study: Uid, series: Uid, studies: Studies) -> Response:
    """Headers of all instances of a series."""
    return await _metadata(request, await studies.instances(study, series, viewer=reader_of(request)))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}",
    responses=_BYTES,
    response_class=Response,
    summary="Retrieve an instance",
)
async def instance(request: Request, study: Uid, series: Uid, instance: Uid, studies: Studies) -> Response:
    """One instance, as multipart/related or as application/dicom."""
    return await _bytes(request, await studies.instances(study, series, instance, viewer=reader_of(request)))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/metadata",
    responses=_METADATA,
    response_class=DicomJson,
    summary="An instance's metadata",
)
async def instance_metadata(request: Request, study: Uid, series: Uid, instance: Uid, studies: Studies) -> Response:
    """The header of one instance."""
    return await _metadata(request, await studies.instances(study, series, instance, viewer=reader_of(request)))
