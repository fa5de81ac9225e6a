"""Content negotiation: the Content-Type of a request, and what Accept admits (RFC 9110 12.5.1)."""

import re
from dataclasses import dataclass
from urllib.request import parse_http_list

from fastapi import Depends, Request
from multipart import parse_options_header

from app.errors import MalformedInput, NotAcceptable, UnsupportedMedia

# A value with a slash is to be quoted (RFC 9110 5.6.6); of `type=application/dicom` many viewers do not.
_PARAMETER = re.compile(r""";\s*([^\s;="]+)\s*=\s*("[^"]*"|[^;"]*)""")


def check_content_type(request: Request, media_type: str) -> None:
    """Refuse any other Content-Type. Raises UnsupportedMedia, and MalformedInput where a boundary is missing."""
    given = request.headers.get("content-type", "")
    if given.split(";")[0].strip().lower() != media_type:
        raise UnsupportedMedia(f"Send the request as {media_type}.", code="unsupported_media")
    if media_type.startswith("multipart/") and not boundary_of(request):
        raise MalformedInput("The multipart request has no boundary.")


def boundary_of(request: Request) -> str:
    """The boundary of a multipart request; names of parameters are in any case (RFC 2045 5.1). Empty without one."""
    return str(parse_options_header(request.headers.get("content-type", ""))[1].get("boundary", ""))


async def _json(request: Request) -> None:
    check_content_type(request, "application/json")


REQUIRE_JSON = Depends(_json)


@dataclass(frozen=True)
class _MediaRange:
    """One element of Accept: a range such as `text/*`, its quality, and its place in the header."""

    kind: str
    subkind: str
    quality: float
    place: int

    def specificity(self, media_type: str) -> int:
        """How closely the range names a media type: 3 exactly, 2 by its type, 1 as anything, 0 not at all."""
        kind, _, subkind = media_type.partition("/")
        if self.kind == "*" and self.subkind == "*":
            return 1
        if self.kind != kind:
            return 0
        return 2 if self.subkind == "*" else 3 if self.subkind == subkind else 0


def _media_ranges(header: str) -> list[_MediaRange]:
    found = []
    for place, element in enumerate(parse_http_list(header)):
        name, parameters = parse_options_header(element)
        kind, _, subkind = name.strip().lower().partition("/")
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            continue
        # A range with parameters and q=0 excludes a variant that is not offered here, not the media type.
        if kind and subkind and 0.0 <= quality <= 1.0 and (quality or not parameters):
            found.append(_MediaRange(kind, subkind, quality, place))
    return found


def negotiate(request: Request, offered: tuple[str, ...]) -> str:
    """The offered media type that Accept likes best. Raises NotAcceptable.

    A type's quality is that of the most specific range that names it; q=0 means not acceptable. Of equal ones the
    first in the header wins, then the first offered. Parameters of ranges do not count.
    """
    return chosen(",".join(request.headers.getlist("accept")), offered)


def elements_of(accept: str) -> list[tuple[str, dict[str, str]]]:
    """The ranges of an Accept header, each with its parameters, quoted or not."""
    found = []
    for element in parse_http_list(accept.strip() or "*/*"):
        name, semicolon, rest = element.partition(";")
        parameters = {key.lower(): value.strip().strip('"') for key, value in _PARAMETER.findall(semicolon + rest)}
        found.append((name.strip().lower(), parameters))
    return found


def chosen(accept: str, offered: tuple[str, ...]) -> str:
    """The offered media type that an Accept header likes best. Raises NotAcceptable."""
    ranges = _media_ranges(accept.strip() or "*/*")
    best: tuple[float, int, int] | None = None
    chosen = ""
    for order, media_type in enumerate(offered):
        naming = [one for one in ranges if one.specificity(media_type)]
        if not naming:
            continue
        closest = max(naming, key=lambda one: (one.specificity(media_type), one.quality))
        rank = (-closest.quality, closest.place, order)
        if closest.quality and (best is None or rank < best):
            best, chosen = rank, media_type
    if best is None:
        raise NotAcceptable(f"This resource is offered as {', '.join(offered)}.")
    return chosen
