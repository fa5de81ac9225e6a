"""Files that were handed over, on their way into the database."""

import os
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from app.dicom.character_set import put_character_set
from app.dicom.header import Header, NotStorable
from app.dicom.opening import Opening
from app.dicom.status import FailureReason, Receipt, WarningReason
from app.imaging.headers import Headers
from app.ingest.study_tokens import Settle
from app.store.arrivals import Arrival
from app.store.owners import Owner

_CHUNK = 1_000_000


@dataclass(frozen=True)
class Named:
    """The UIDs that a request named; None where it named none."""

    study: str | None
    instance: str | None
    sop_class: str | None

    def check(self, header: Header) -> None:
        """Raises NotStorable where the instance is not the one that its request names."""
        for named, found, detail in (
            (self.study, header.study_instance_uid, "The instance belongs to another study than the request."),
            # PS3.4 B.2.3: the data set does not match what the request names.
            (self.instance, header.sop_instance_uid, "The data set has another SOP Instance UID than its request."),
            (self.sop_class, header.sop_class_uid, "The data set has another SOP Class UID than its request."),
        ):
            if named is not None and named != found:
                raise NotStorable(FailureReason.STUDY_MISMATCH, detail, header)


@dataclass(frozen=True)
class Incoming:
    """A file that was handed over, and the promise of its receipt."""

    file: Path
    sender: str
    owner: Owner
    settle: Settle | None
    named: Named
    receipt: "Future[Receipt]"
    trace: str | None
    character_set: str | None

    def header(self, opening: Opening, headers: Headers) -> Header:
        """The header of the file, whose character set is put right first. Blocks. Raises NotStorable, OSError."""
        coerced = False
        if self.character_set is not None:
            try:
                coerced = put_character_set(self.file, opening, self.character_set)
            except ValueError as error:
                detail = "The sender's character set is not put right in deflated data sets; send it uncompressed."
                raise NotStorable(FailureReason.TRANSFER_SYNTAX, detail) from error
        found = headers.read(self.file, opening)
        if not coerced:
            return found
        return replace(found, warning=found.warning or WarningReason.COERCED, character_set=self.character_set)


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
