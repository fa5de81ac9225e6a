"""Images as data URIs (RFC 2397)."""

import binascii
import re
from urllib.parse import unquote_to_bytes

from app.errors import InvalidRequest, MalformedInput

_MEDIA = r"(?:image/(?:png|jpe?g)|(?:application|image)/dicom(?:\+\w+)?|application/octet-stream)"
# Parameters (`;charset=utf-8`, `;name=a.png`) stand before the last one, `;base64`.
_BEGINS = re.compile(rf"data:{_MEDIA}((?:;[\w.!#$&^+-]+=[^;,]*)*)(;base64)?,", re.I)
_SPACE = str.maketrans("", "", " \t\r\n")
_PIECE = 1_048_576
_MOST_HEAD = 1_024
# What is escaped is taken apart at each escape, at forty times its size.
_MOST_ESCAPED = 1_000_000


def bytes_of(url: str) -> bytes:
    """The bytes of an image's data URI: base64 with or without line breaks, or percent-encoded.

    Raises InvalidRequest for any other URL, MalformedInput.
    """
    url = url.strip()
    found = _BEGINS.match(url[:_MOST_HEAD])
    if found is None:
        raise InvalidRequest(
            "image_url: give a data URI of image/png, image/jpeg or application/dicom"
            " (data:image/png;base64,...); URLs are not fetched",
            code="invalid_image_url",
        )
    start, is_base64 = found.end(), found.group(2) is not None
    if "%" in url or not is_base64:
        if len(url) > _MOST_ESCAPED:
            raise InvalidRequest(
                "image_url: a data URI of more than a megabyte is read as base64 without percent signs",
                code="too_large",
            )
        data = unquote_to_bytes(url[start:])
        if not is_base64:
            return data
        url, start = data.decode("latin-1"), 0
    try:
        return _decoded(url, start)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput("image_url: the data is no base64") from error


def _decoded(text: str, start: int) -> bytes:
    """The base64 of a text from `start`, in pieces: neither the text nor what is in it is copied as a whole."""
    decoded, left = bytearray(), ""
    for at in range(start, len(text), _PIECE):
        piece = left + text[at : at + _PIECE].translate(_SPACE)
        if "=" in piece:
            # Padding ends the data; it may go on in the next piece.
            rest = text[at + _PIECE : at + _PIECE + _PIECE].translate(_SPACE)
            if rest.strip("="):
                raise ValueError
            left = piece + rest
            break
        whole = len(piece) // 4 * 4
        decoded += binascii.a2b_base64(piece[:whole], strict_mode=True)
        left = piece[whole:]
    decoded += binascii.a2b_base64(left, strict_mode=True)
    return bytes(decoded)
