"""What a destination's answer to one object means; the codes of C-STORE and STOW-RS are the same."""

from collections.abc import Sequence

from app.dicom.status import FailureReason

_WARNINGS = {0x0001, 0x0107, 0x0116}


def is_stored(status: int) -> bool:
    """Whether a C-STORE status says that the object is stored: success, or a warning (PS3.4 B.2.3, PS3.7 C.4)."""
    return status == 0x0000 or status & 0xF000 == 0xB000 or status in _WARNINGS


def is_final(reasons: Sequence[int]) -> bool:
    """Whether a refusal will be the same the next time: all but want of room and failures while processing."""
    return all(
        reason & 0xFF00 != FailureReason.OUT_OF_RESOURCES and reason != FailureReason.PROCESSING_FAILURE
        for reason in reasons
    )
