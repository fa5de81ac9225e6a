"""Drawings by their URLs, where a client has asked for URLs."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.http import drawing_urls
from app.api.http.responses import openai_errors
from app.api.render import MEDIA_TYPES

router = APIRouter(prefix=drawing_urls.PATH, tags=["drawing"])


@router.get(
    "/{name}",
    response_class=Response,
    responses={**openai_errors(400, 404, 410), 200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
    summary="A drawing by its URL",
)
async def drawing_file(
    request: Request,
    name: str,
    expires: Annotated[int, Query(description="seconds since the epoch")],
    signature: str,
) -> Response:
    """The file. Without a key: the signature is one."""
    data = await drawing_urls.find(request, name, expires, signature)
    media_type = MEDIA_TYPES[name.rpartition(".")[2]]
    return Response(data, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"})
