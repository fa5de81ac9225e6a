"""Receipts of instances that are not stored: refused, or lost to a fault of disk or database."""

from dataclasses import replace

import structlog

from app.dicom.header import Header
from app.dicom.status import FailureReason, Receipt
from app.store.transient import is_out_of_space, is_transient, is_value_refused

log = structlog.get_logger(__name__)


def refusal(header: Header | None, reason: FailureReason, detail: str) -> Receipt:
    """The receipt of an instance that is refused for a reason."""
    if header is None:
        return Receipt(None, None, failure=reason, detail=detail)
    return Receipt(header.sop_class_uid, header.sop_instance_uid, failure=reason, detail=detail)


def fault(error: BaseException, header: Header | None) -> Receipt:
    """The receipt of an instance that could not be stored because of an error, which is logged."""
    full, passes = is_out_of_space(error), is_transient(error)
    log.error("ingest failed", exc_info=error, full=full, passes=passes)
    if full:
        return refusal(header, FailureReason.OUT_OF_RESOURCES, "The disk is full.")
    if passes:
        busy = "The database or the disk does not answer; send it again."
        return replace(refusal(header, FailureReason.OUT_OF_RESOURCES, busy), busy=True)
    if is_value_refused(error):
        return refusal(header, FailureReason.CANNOT_UNDERSTAND, "The database cannot hold a value of the instance.")
    return refusal(header, FailureReason.PROCESSING_FAILURE, "The instance could not be stored.")
