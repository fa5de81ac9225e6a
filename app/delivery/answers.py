"""What a destination's answer to one object means; the codes of C-STORE and STOW-RS are the same."""

from collections.abc import Collection
from dataclasses import dataclass

from app.dicom.status import FailureReason
from app.dicom.store_response import StoreResponse

# PS3.7 C.5.8; and Microsoft's dicom-server's own reason (45070). Objects of ours have UIDs that follow from
# their job: what is there under one of them is an earlier attempt whose answer was lost.
_ALREADY_THERE = {int(FailureReason.DUPLICATE_INSTANCE), 0xB00E}
_WARNINGS = {0x0001, 0x0107, 0x0116}


def is_stored(status: int) -> bool:
    """Whether a C-STORE status says that the object is stored: success, or a warning (PS3.4 B.2.3, PS3.7 C.4)."""
    return status == 0x0000 or status & 0xF000 == 0xB000 or status in _WARNINGS


def is_already_there(reason: int) -> bool:
    """Whether a status or failure reason says that the object is held already."""
    return reason in _ALREADY_THERE


def is_final(reasons: Collection[int]) -> bool:
    """Whether a refusal will be the same the next time: all but want of room and what does not say that it lasts."""
    return all(reason & 0xFF00 != FailureReason.OUT_OF_RESOURCES and not _is_unclear(reason) for reason in reasons)


def _is_unclear(reason: int) -> bool:
    """Whether the object may be there all the same.

    Google's service says 0110 where it holds another file of the UID. Bxxx are warnings, of what is stored, and 45071
    (B00F) is dicom-server's of an object that is being written.
    """
    return reason == FailureReason.PROCESSING_FAILURE or reason & 0xF000 == 0xB000


@dataclass(frozen=True)
class Outcome:
    """What a response says of the objects that were sent: `there` were held already, `open` it leaves open."""

    there: frozenset[str]
    open: frozenset[str]
    refusals: tuple[int, ...]

    @property
    def may_be_there(self) -> bool:
        """Whether nothing that it says rules out that every object is held."""
        return all(_is_unclear(reason) for reason in self.refusals)


def outcome_of(response: StoreResponse | None, sent: Collection[str]) -> Outcome:
    """Judge a response by the SOP Instance UIDs that were sent; None is one that cannot be read."""
    response = response or StoreResponse()
    there = frozenset(uid for uid, reason in response.failed if is_already_there(reason))
    refusals = tuple(reason for _, reason in response.failed if not is_already_there(reason))
    if not refusals and len(response.stored) + len(response.failed) >= len(sent):
        return Outcome(there, frozenset(), refusals)  # also where it has given them other UIDs, or names none
    failed = {uid for uid, _ in response.failed}
    return Outcome(there, frozenset(sent) - (frozenset(response.stored) - failed) - there, refusals)
