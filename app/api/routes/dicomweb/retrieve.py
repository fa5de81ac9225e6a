"""WADO-RS: instances and their metadata (PS3.18 10.4)."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from app.api.http.negotiation import negotiate
from app.api.http.responses import PROBLEMS, problems
from app.api.http.visibility import reader_of
from app.api.routes.dicomweb.common import DICOM, DICOM_JSON, RELATED, DicomJson, Studies, Uid, base_url
from app.api.routes.dicomweb.form import form_of
from app.api.routes.dicomweb.sending import Held, Sending, of_scratch, opened, touch
from app.api.state import state_of
from app.dicom.multipart import Source, write_sources
from app.store.scratch import Scratch
from app.store.search import StoredInstance

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The instances in the transfer syntax in which they are held, or in Explicit VR Little Endian",
        "content": {RELATED: {}, DICOM: {}},
    },
    **problems(400, 406, 500, 507),
    404: {"description": "Nothing of it is held", **{"content": {"application/problem+json": {}}}},
    410: PROBLEMS[410],
}
_METADATA: dict[int | str, dict[str, Any]] = {
    **_BYTES,
    200: {"description": "DICOM JSON without bulk data", "content": {DICOM_JSON: {}}},
    **{status: PROBLEMS[status] for status in (413, 422, 429)},
}


async def _bytes(request: Request, held: list[Held]) -> Response:
    touch(request, held)
    form = form_of(request, [instance for instance, _ in held])
    wanted = list(zip(held, form.syntaxes, strict=True))
    # The first decides the status; the others follow as they are sent.
    syntax, first = await opened(request, *wanted[0])

    async def parts() -> AsyncIterator[tuple[str, Source]]:
        yield _media_type(syntax), first
        for one, syntaxes in wanted[1:]:
            given, source = await opened(request, one, syntaxes)
            yield _media_type(given), source

    if form.media_type == DICOM:
        if not isinstance(first, Scratch):
            first.close()
            return FileResponse(held[0][1], media_type=_media_type(syntax))
        return of_scratch(first, _media_type(syntax))
    boundary = uuid.uuid4().hex
    return Sending(first, write_sources(parts(), boundary), f'{RELATED}; type="{DICOM}"; boundary={boundary}')


def _media_type(syntax: str) -> str:
    """PS3.18 8.7.3.5: an answer names the syntax that it is in."""
    return f"{DICOM}; transfer-syntax={syntax}"


async def _metadata(request: Request, held: list[Held]) -> Response:
    touch(request, held)
    negotiate(request, (DICOM_JSON, "application/json"))
    place, headers = base_url(request), state_of(request).headers
    # The first decides the status; the others follow as they are sent, so that no study's metadata is in memory.
    first = await headers.metadata(held[0][1], _bulk_uri(place, held[0][0]))

    async def body() -> AsyncIterator[bytes]:
        yield b"[" + first
        for instance, path in held[1:]:
            yield b"," + await headers.metadata(path, _bulk_uri(place, instance))
        yield b"]"

    return StreamingResponse(body(), media_type=DICOM_JSON)


def _bulk_uri(place: str, instance: StoredInstance) -> str:
    series = f"{place}/studies/{instance.study_uid}/series/{instance.series_uid}"
    return f"{series}/instances/{instance.sop_instance_uid}/bulkdata"


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
