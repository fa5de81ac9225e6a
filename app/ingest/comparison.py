"""Compares an instance that has arrived with what is held under its UID, where their bytes differ."""

from app.dicom.likeness import Likeness
from app.errors import Gone
from app.imaging.headers import Headers
from app.imaging.likeness import Facts, Meaning, is_copy_of, likeness
from app.store.arrivals import Arrival, Compared, ToCompare
from app.store.integrity import verify
from app.store.spool import Spool


def compared(arrival: Arrival, to: ToCompare, spool: Spool, headers: Headers) -> Compared:
    """How an arrival is like what is held. Blocks: both are decoded. Raises NotStorable, OSError."""
    new = headers.meaning(spool.path(arrival.file))
    held, whole = None, True
    try:
        held = headers.meaning(verify(spool, to.held))
    except Gone:
        whole = False
        if to.states.removed is not None:
            held = Meaning(Facts.model_validate(to.states.removed))
    found = likeness(new, held, put_right=to.put_right)
    if found is Likeness.DOUBTFUL and not whole:
        found = Likeness.CHANGED  # nothing is left that it would replace for the worse
    earlier = [Meaning(Facts.model_validate(facts)) for facts in to.states.earlier]
    if found in (Likeness.CHANGED, Likeness.DOUBTFUL) and any(is_copy_of(new, state) for state in earlier):
        found = Likeness.EARLIER
    return Compared(to.held.sha256, found, whole, to.held.file, held.facts.model_dump() if held is not None else None)
