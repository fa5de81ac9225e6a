"""Instances and bulk data on their way to a client: files as they are held, and what is made of them first.

What is transcoded is written whole to an unnamed file before any of it is sent: a client that reads slowly holds no
process, the gateway holds a piece at a time, and what fails while it is decoded has a status where it comes first.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.http.visibility import touched
from app.api.routes.dicomweb.form import EXPLICIT
from app.api.state import state_of
from app.dicom.multipart import Source, chunks
from app.errors import InputError, NotAcceptable, NotFound
from app.store.scratch import Scratch
from app.store.search import StoredInstance

Held = tuple[StoredInstance, Path]


def touch(request: Request, held: Sequence[Held]) -> None:
    """Note whose data a request has to do with."""
    seen = touched(request)
    seen.studies |= {instance.study_uid for instance, _ in held}
    seen.patients |= {instance.patient_id for instance, _ in held}
    seen.instances += len(held)


class Sending(StreamingResponse):
    """A stream that begins with a source which is open already; it is closed however the stream ends."""

    def __init__(self, first: Source, body: AsyncGenerator[bytes], media_type: str, size: int | None = None) -> None:
        length = {} if size is None else {"Content-Length": str(size)}
        super().__init__(body, media_type=media_type, headers=length)
        self._first, self._body = first, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._first.close()
            await self._body.aclose()  # and the source that is open behind the first


def of_scratch(scratch: Scratch, media_type: str) -> Sending:
    """What was made, alone."""
    return Sending(scratch, chunks(scratch), media_type, scratch.size)


async def opened(request: Request, held: Held, syntaxes: Sequence[str]) -> tuple[str, Source]:
    """An instance in the first syntax that it can be given in.

    Raises NotAcceptable where it cannot be decoded, Overloaded, Unavailable, DecodersDead, OutOfSpace, OSError.
    """
    instance, path = held
    cause: InputError | None = None
    for syntax in syntaxes:
        if syntax == instance.transfer_syntax_uid:
            return syntax, path.open("rb")
        try:
            scratch = await _scratch(request)
            await state_of(request).transcoder.transcode(path, scratch)
        except InputError as error:
            cause = error
            continue
        scratch.rewind()
        return EXPLICIT, scratch
    raise _undecodable(instance, cause) from cause


async def bulk(request: Request, held: Held, path: str) -> Scratch:
    """A value of an instance. Raises NotFound, and what `opened` does."""
    scratch = await _scratch(request)
    try:
        await state_of(request).transcoder.bulk(held[1], path, scratch)
    except NotFound:
        raise
    except InputError as error:
        raise _undecodable(held[0], error) from error
    scratch.rewind()
    return scratch


def _undecodable(instance: StoredInstance, cause: InputError | None) -> NotAcceptable:
    why = "" if cause is None else f" {cause.detail}"
    return NotAcceptable(
        f"An instance is offered in the transfer syntax in which it is held alone, {instance.transfer_syntax_uid}.{why}"
    )


async def _scratch(request: Request) -> Scratch:
    studies = state_of(request).studies
    assert studies is not None
    return await asyncio.to_thread(studies.scratch)
