"""Files that were handed over, on their way into the database."""

import os
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from app.dicom.header import Header, NotStorable
from app.dicom.status import FailureReason, Receipt
from app.ingest.study_tokens import Settle
from app.store.arrivals import Arrival
from app.store.owners import Owner

_CHUNK = 1_000_000


@dataclass(frozen=True)
class Incoming:
    """A file that was handed over, and the promise of its receipt."""

    file: Path
    sender: str
    owner: Owner
    settle: Settle | None
    study: str | None
    instance: str | None
    receipt: "Future[Receipt]"
    trace: str | None

    def check_identity(self, header: Header) -> None:
        """Raises NotStorable where the instance is not the one that its request names."""
        if self.study is not None and header.study_instance_uid != self.study:
            detail = "The instance belongs to another study than the request."
            raise NotStorable(FailureReason.STUDY_MISMATCH, detail, header)
        if self.instance is not None and header.sop_instance_uid != self.instance:
            # PS3.4 B.2.3: the data set does not match what the request names.
            detail = "The data set has another SOP Instance UID than its request."
            raise NotStorable(FailureReason.STUDY_MISMATCH, detail, header)


@dataclass(frozen=True)
class Ready:
    """A file that was checked and synced, and what is to be recorded of it."""

    incoming: Incoming
    arrival: Arrival


def prepend(prefix: bytes, file: Path) -> None:
    """Make a Part 10 file of bytes that came without preamble or File Meta Information."""
    whole = file.with_suffix(".whole")
    try:
        with whole.open("wb") as target, file.open("rb") as source:
            target.write(prefix)
            while chunk := source.read(_CHUNK):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        whole.replace(file)
    finally:
        whole.unlink(missing_ok=True)
