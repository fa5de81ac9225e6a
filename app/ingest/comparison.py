"""Compares an instance that has arrived with what is held under its UID, where their bytes differ."""

from app.dicom.likeness import Likeness
from app.errors import Gone
from app.imaging.headers import Headers
from app.imaging.likeness import Meaning, likeness
from app.store.arrivals import Arrival, Compared, ToCompare
from app.store.integrity import Held, verify
from app.store.spool import Spool


def compared(arrival: Arrival, to: ToCompare, spool: Spool, headers: Headers) -> Compared:
    """How an arrival is like what is held. Blocks: both are decoded. Raises NotStorable, OSError."""
    new = headers.meaning(spool.path(arrival.file))
    try:
        found, whole = likeness(new, headers.meaning(verify(spool, to.held))), True
    except Gone:
        found, whole = likeness(new, None), False
    if found is Likeness.CHANGED and any(
        earlier.sha256 == arrival.sha256 or likeness(new, _meaning(earlier, spool, headers)) is Likeness.SAME
        for earlier in to.earlier
    ):
        found = Likeness.EARLIER
    return Compared(to.held.sha256, found, whole, to.held.file)


def _meaning(held: Held, spool: Spool, headers: Headers) -> Meaning | None:
    try:
        return headers.meaning(verify(spool, held))
    except Gone:
        return None
