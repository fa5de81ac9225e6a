"""Multipart forms as models, and how the OpenAPI document shows them.

The framework inspects the annotation of every field of a form anew in every request, and its parser calls back for
every piece of every header: together a seventh of what the gateway did for a request.
"""

import asyncio
import codecs
import re
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar, get_origin

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from app.api.http.negotiation import boundary_of, check_content_type
from app.errors import ClientGone, InvalidRequest, MalformedInput, OutOfSpace

M = TypeVar("M", bound=BaseModel)
MULTIPART = "multipart/form-data"
_MOST_PARTS = 1_000
_LONGEST_TEXT = 1_000_000
_MOST_TEXT = 2_000_000
# Encodings of text. Others that Python knows decode escapes, or take time by the square of their input.
_CHARSETS = re.compile(
    r"utf-?(?:8|16|16-le|16-be|32)|ascii|iso8859-\d+|cp(?:125\d|437|850|866|932|949|950)|koi8-[ru]|mac-\w+|big5"
    r"|gb2312|gbk|gb18030|euc_(?:jp|kr)|shift_jis|iso2022_jp|tis-620"
)
_IN_MEMORY = 1_000_000
_CHARSET = "_charset_"  # in which the texts behind it are, unless they say otherwise (RFC 7578 4.6)


async def read_form(request: Request, model: type[M]) -> M:
    """The request's form as `model`, uploads as their bytes. What is larger than a megabyte waits on disk.

    Raises UnsupportedMedia, MalformedInput, InvalidRequest, RequestValidationError, ClientGone.
    """
    check_content_type(request, MULTIPART)
    given: dict[str, Any] = {}
    for name, values in (await _values(request)).items():
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is list:
            given[name] = [value for value in values if value != ""]
        else:
            sent = [value for value in values if value != ""]  # browsers send empty fields as empty strings
            if len(sent) > 1:
                raise _repeated(name, len(sent), known=field is not None)
            if sent:
                given[name] = sent[0]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def _repeated(name: str, count: int, *, known: bool) -> InvalidRequest:
    if name == "image":
        detail = f"image: the form has {count} images, and one is read at a time: send each by itself"
        return InvalidRequest(detail, code="too_many_images")
    return InvalidRequest(
        f"{name if known else 'A field'}: it is there {count} times, and may be once", code="repeated_field"
    )


class _Part:
    """A part of a form: the bytes of a file, or text. It goes to disk by the megabyte."""

    def __init__(self, segment: MultipartSegment, charset: str) -> None:
        self.name = str(segment.name)
        self._segment = segment
        # By a file's name, which is a SHOULD (RFC 7578 4.2), or by a type that is no text's.
        kind, disposition = segment.content_type or "text/plain", segment.header("Content-Disposition", "") or ""
        self._is_file = segment.filename is not None or "filename*" in disposition or not kind.startswith("text/")
        self._charset = segment.charset or charset
        self._held = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, data: bytes) -> None:
        """Add to it. Raises MalformedInput where a text grows too long."""
        if not self._is_file and self._segment.bytes_received > _LONGEST_TEXT:
            raise MalformedInput("A text of the form is too long.")
        self._held += data
        if len(self._held) > _IN_MEMORY:
            await asyncio.to_thread(self._spill)

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile()  # noqa: SIM115  lives as long as the part
            self._file.write(self._held)
        except OSError as error:
            raise OutOfSpace("The disk is full; a large upload cannot be read.") from error
        self._held.clear()

    def _read(self) -> bytes:
        assert self._file is not None
        self._spill()
        self._file.seek(0)
        return self._file.read()

    async def value(self) -> bytes | str:
        """All of it. Raises MalformedInput."""
        data = bytes(self._held) if self._file is None else await asyncio.to_thread(self._read)
        if self._is_file:
            return data
        try:
            charset = codecs.lookup(self._charset).name
        except (LookupError, ValueError):
            charset = ""
        if not _CHARSETS.fullmatch(charset):
            raise MalformedInput(f"{self.name[:64]}: the charset of the part is not known.")
        try:
            return data.decode(charset)
        except UnicodeError as error:
            raise MalformedInput(f"A text of the form is not {charset.upper()}.") from error

    @property
    def text_bytes(self) -> int:
        """Bytes of a text so far; 0 of a file."""
        return 0 if self._is_file else self._segment.bytes_received

    def close(self) -> None:
        """Remove what is on disk."""
        if self._file is not None:
            self._file.close()


async def _values(request: Request) -> dict[str, list[bytes | str]]:
    """What was sent under each name, in order. Raises MalformedInput, ClientGone."""
    boundary = boundary_of(request)
    found: dict[str, list[bytes | str]] = {}
    part: _Part | None = None
    charset, texts = "utf-8", 0
    try:
        # Headers in whatever encoding a sender has (RFC 7578 5.1): names of files are not used, and ours are ASCII.
        with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS, header_charset="latin-1") as parser:
            async for chunk in request.stream():
                # The framework ends a stream with an empty chunk, which the parser takes for the end of the body.
                for event in parser.parse(chunk) if chunk else ():
                    if isinstance(event, MultipartSegment):
                        part = _Part(event, charset)
                    elif part is not None and event is not None:
                        await part.write(event)
                    elif part is not None and (texts := texts + part.text_bytes) > _MOST_TEXT:
                        raise MalformedInput("The texts of the form are too long together.")
                    elif part is not None and part.name == _CHARSET:
                        charset = str(await part.value()).strip() or charset
                        part = None
                    elif part is not None:
                        # PHP's way of naming lists, which OpenAI's clients use for one image, too.
                        found.setdefault(part.name.removesuffix("[]"), []).append(await part.value())
                        part.close()
                        part = None
    except MultipartError as error:
        raise MalformedInput("The multipart body is malformed.") from error
    except ClientDisconnect as error:
        raise ClientGone("The client left.") from error
    finally:
        if part is not None:
            part.close()
    return found


def form_body(model: type[BaseModel]) -> dict[str, Any]:
    """The form in the OpenAPI document, as a route's `openapi_extra`."""
    schema = model.model_json_schema()
    return {"requestBody": {"content": {MULTIPART: {"schema": schema}}, "required": True}}
