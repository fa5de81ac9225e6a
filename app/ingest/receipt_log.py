"""What the log says of instances that arrived: refusals, and what was done otherwise than a sender may expect."""

from collections import Counter
from collections.abc import Sequence

import structlog

from app.dicom.likeness import Likeness
from app.dicom.status import Receipt, WarningReason

log = structlog.get_logger(__name__)

_WARNINGS = {
    WarningReason.KEPT_APART: "instances kept apart",
    WarningReason.LEADING_ZERO: "instances have a UID with a leading zero",
    WarningReason.SUPERSEDED: "instances not kept: a later state of them is held",
}
_LIKENESSES = {
    Likeness.LOSSY: "lossy copies not kept: the instance is held",
    Likeness.CHANGED: "instances replaced by another state of them",
}


def log_receipts(receipts: Sequence[Receipt], *, source: str, **sender: str) -> None:
    """Log what became of the instances of one request; no patient data."""
    if refused := Counter(receipt.outcome for receipt in receipts if receipt.failure is not None):
        log.warning("instances refused", source=source, **sender, **refused)
    kept = [receipt for receipt in receipts if receipt.failure is None]
    for warning, what in _WARNINGS.items():
        if count := sum(receipt.warning is warning for receipt in kept):
            log.warning(what, source=source, **sender, instances=count)
    for likeness, what in _LIKENESSES.items():
        if count := sum(receipt.likeness is likeness for receipt in kept):
            log.warning(what, source=source, **sender, instances=count)
