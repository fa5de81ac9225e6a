"""Images as data URIs (RFC 2397)."""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from app.errors import InvalidRequest, MalformedInput

_MEDIA = r"(?:image/(?:png|jpe?g)|(?:application|image)/dicom(?:\+\w+)?|application/octet-stream)"
# Parameters (`;charset=utf-8`, `;name=a.png`) stand before the last one, `;base64`.
_BEGINS = re.compile(rf"data:{_MEDIA}((?:;[\w.!#$&^+-]+=[^;,]*)*)(;base64)?,", re.I)
_SPACE = re.compile(rb"\s+")


def bytes_of(url: str) -> bytes:
    """The bytes of an image's data URI: base64 with or without line breaks, or percent-encoded.

    Raises InvalidRequest for any other URL, MalformedInput.
    """
    found = _BEGINS.match(url.strip())
    if found is None:
        raise InvalidRequest(
            "image_url: give a data URI of image/png, image/jpeg or application/dicom"
            " (data:image/png;base64,...); URLs are not fetched",
            code="invalid_image_url",
        )
    data = unquote_to_bytes(url.strip()[found.end() :])
    if found.group(2) is None:
        return data
    try:
        return base64.b64decode(_SPACE.sub(b"", data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput("image_url: the data is no base64") from error
