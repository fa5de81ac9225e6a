"""In which media type and transfer syntaxes a client wants instances (PS3.18 8.7)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from pydicom.uid import ExplicitVRLittleEndian

from app.api.http.negotiation import chosen, elements_of
from app.api.routes.dicomweb.common import DICOM, RELATED
from app.errors import NotAcceptable
from app.imaging.syntaxes import DECODED
from app.store.search import StoredInstance

EXPLICIT = str(ExplicitVRLittleEndian)
_ANY = "*"
_OFFERED = {kind: frozenset((kind, f"{kind.partition('/')[0]}/*", "*/*")) for kind in (RELATED, DICOM)}


@dataclass(frozen=True)
class Form:
    """The media type of an answer, and for each instance the transfer syntaxes that are acceptable, the best first."""

    media_type: str
    syntaxes: list[tuple[str, ...]]


@dataclass(frozen=True)
class _Range:
    """An element of Accept that instances may match."""

    name: str
    syntax: str
    quality: float


def form_of(request: Request, held: Sequence[StoredInstance]) -> Form:
    """What is asked for, by Accept or the query parameter before it (PS3.18 8.3.3.1).

    Raises NotAcceptable where parts of another type are asked for, or a syntax that an instance cannot be given in.
    """
    ranges = _ranges(accepted(request))
    possible = {}
    for kind in (RELATED, DICOM) if len(held) == 1 else (RELATED,):
        matching = [one for one in ranges if one.name in _OFFERED[kind]]
        syntaxes = [_acceptable(instance.transfer_syntax_uid, matching) for instance in held]
        if all(syntaxes):
            possible[kind] = syntaxes
    if not possible:
        raise NotAcceptable(
            f'Instances are offered as multipart/related; type="{DICOM}" in the transfer syntax in which they are held '
            f"({named(held)}), and those that can be decoded in {EXPLICIT}."
        )
    given = {syntax for syntaxes in possible.values() for one in syntaxes for syntax in one}
    admitted = [one for one in ranges if one.syntax == _ANY or one.syntax in given]
    media_type = chosen(",".join(f"{one.name};q={one.quality}" for one in admitted), tuple(possible))
    return Form(media_type, possible[media_type])


def accepted(request: Request) -> str:
    """What a client accepts, by the query parameter or the header."""
    return request.query_params.get("accept") or ",".join(request.headers.getlist("accept"))


def named(held: Sequence[StoredInstance]) -> str:
    """The transfer syntaxes in which instances are held, for a message."""
    return ", ".join(sorted({instance.transfer_syntax_uid for instance in held}))


def _ranges(accept: str) -> list[_Range]:
    found = []
    for name, parameters in elements_of(accept):
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            continue
        if parameters.get("type", DICOM).lower() == DICOM and 0.0 <= quality <= 1.0:
            found.append(_Range(name, parameters.get("transfer-syntax", _ANY), quality))
    return found


def _acceptable(held: str, ranges: Sequence[_Range]) -> tuple[str, ...]:
    """The syntaxes that an instance may be given in. One that is named counts before `*` or none.

    PS3.18 8.7.3.5.2 has Explicit VR Little Endian where none is named; here, as for `*`, that in which it is held.
    """
    qualities = {}
    for syntax, by in ((held, (held, _ANY)), (EXPLICIT, (EXPLICIT,))):
        if syntax not in qualities and (syntax == held or held in DECODED):
            named = [max(found) for name in by if (found := [one.quality for one in ranges if one.syntax == name])]
            qualities[syntax] = named[0] if named else 0.0
    # Of equal ones that in which it is held: nothing is lost, and nothing to be done.
    return tuple(sorted((syntax for syntax, quality in qualities.items() if quality), key=lambda one: -qualities[one]))
