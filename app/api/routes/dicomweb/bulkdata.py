"""WADO-RS bulk data: the values that metadata refers to (PS3.18 10.4.1.1.5)."""

import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.http.negotiation import chosen, elements_of
from app.api.http.responses import problems
from app.api.http.visibility import reader_of
from app.api.routes.dicomweb.common import RELATED, Studies, Uid
from app.api.routes.dicomweb.form import EXPLICIT, accepted
from app.api.routes.dicomweb.sending import Sending, bulk, of_scratch, touch
from app.dicom.multipart import Source, write_sources
from app.errors import NotAcceptable, NotFound

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

_BYTES = "application/octet-stream"
_PATH = re.compile(r"[0-9A-Fa-f]{8}(/[0-9]{1,6}/[0-9A-Fa-f]{8}){0,100}")
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The value, in little endian and uncompressed", "content": {_BYTES: {}, RELATED: {}}},
    404: {"description": "No such instance or value", "content": {"application/problem+json": {}}},
    **problems(400, 406, 410, 500, 507),
}


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}",
    responses=_ANSWERS,
    response_class=Response,
    summary="Retrieve bulk data",
)
async def bulkdata(request: Request, study: Uid, series: Uid, instance: Uid, path: str, studies: Studies) -> Response:
    """A value of an instance, by its tag, or by tags and items (from 0) in turn: `00409096/0/00409212`."""
    held = await studies.instances(study, series, instance, viewer=reader_of(request))
    touch(request, held)
    media_type = _media_type(accepted(request))
    if not _PATH.fullmatch(path):
        raise NotFound("A value's path is a tag of eight hexadecimal digits, or tags and items in turn.")
    value = await bulk(request, held[0], path)
    if media_type == _BYTES:
        return of_scratch(value, _BYTES)

    async def parts() -> AsyncIterator[tuple[str, Source]]:
        yield f"{_BYTES}; transfer-syntax={EXPLICIT}", value

    boundary = uuid.uuid4().hex
    return Sending(value, write_sources(parts(), boundary), f'{RELATED}; type="{_BYTES}"; boundary={boundary}')


def _media_type(accept: str) -> str:
    """What is asked for. Raises NotAcceptable."""
    admitted = []
    for name, parameters in elements_of(accept):
        kind, syntax = parameters.get("type", _BYTES), parameters.get("transfer-syntax", "*")
        if kind.lower() == _BYTES and syntax in ("*", EXPLICIT):
            admitted.append(f"{name};q={parameters.get('q', '1')}")
    if not admitted:
        raise NotAcceptable(f"Bulk data is offered as {_BYTES}, uncompressed and in little endian ({EXPLICIT}).")
    return chosen(",".join(admitted), (_BYTES, RELATED))
