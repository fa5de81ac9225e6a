"""A STOW-RS request: parts in, receipts into the response (PS3.18 10.5 and Annex I)."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

from app.dicom.status import FailureReason, Receipt
from app.errors import OutOfSpace, TooLarge

_UNDER_WAY = 32
# A part beyond the first is written on a thread, by so many bytes at a time: disks may hold a writer up for a second.
_LARGE_BYTES, _WAITING_BYTES = 8_000_000, 1_000_000
_SHORTEST = 16  # bytes: preambles are optional to readers, an element of a group is not


class StowReceiver:
    """The sink of one request: writes each part into the spool and gathers its receipt."""

    def __init__(
        self, new_file: Callable[[], Path], accept: Callable[[Path], "Future[Receipt]"], max_bytes: int, max_parts: int
    ) -> None:
        self._new_file = new_file
        self._accept = accept
        self._max_bytes = max_bytes
        self._max_parts = max_parts
        self._open: _Bounded | None = None
        self._refusal: Receipt | None = None
        self._pending: deque[Future[Receipt]] = deque()
        self.receipts: list[Receipt] = []

    def open(self, content_type: str) -> BinaryIO | None:
        """A file for a part of application/dicom. Raises TooLarge where the request has more parts than it may."""
        self._refusal = None
        if len(self.receipts) + len(self._pending) >= self._max_parts:
            raise TooLarge(f"A request holds at most {self._max_parts} instances.", code="too_many_instances")
        if content_type == "application/dicom":
            self._open = _Bounded(self._new_file, self._max_bytes)
            return self._open  # type: ignore[return-value]
        self._refusal = _refused(FailureReason.CANNOT_UNDERSTAND, "The part is not application/dicom.")
        return None

    def close(self, file: BinaryIO | None, *, complete: bool) -> None:
        """Hand the part over, or drop what is left of it."""
        self._open = None
        if isinstance(file, _Bounded):
            path, self._refusal = file.finish()
            if not complete:
                self._refusal = _refused(FailureReason.CANNOT_UNDERSTAND, "The part broke off.")
            if path is not None and self._refusal is None:
                self._pending.append(self._accept(path))
                return
            if path is not None:
                path.unlink(missing_ok=True)
        if self._refusal is not None:
            done: Future[Receipt] = Future()
            done.set_result(self._refusal)
            self._pending.append(done)

    async def catch_up(self) -> None:
        """Wait until what has come is on its way to the disk, and few enough instances are under way."""
        if self._open is not None and self._open.waiting > _WAITING_BYTES:
            await asyncio.to_thread(self._open.write_out)
        while len(self._pending) > _UNDER_WAY:
            self.receipts.append(await asyncio.wrap_future(self._pending.popleft()))

    async def finish(self) -> list[Receipt]:
        """The receipts of all parts, in their order."""
        while self._pending:
            self.receipts.append(await asyncio.wrap_future(self._pending.popleft()))
        return self.receipts


def _refused(reason: FailureReason, detail: str) -> Receipt:
    return Receipt(None, None, failure=reason, detail=detail)


class _Bounded:
    """A file that takes so many bytes, and remembers instead of raising what went wrong.

    It is opened once there are enough bytes for a DICOM instance: parts that are none cost no file.
    """

    def __init__(self, new_file: Callable[[], Path], max_bytes: int) -> None:
        self._new_file = new_file
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._whole = 0
        self._left = max_bytes
        self._fault: Receipt | None = None

    @property
    def waiting(self) -> int:
        """Bytes that have come and are not written."""
        return self._waiting_bytes

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._fail("The instance is larger than is taken.", FailureReason.OVER_LIMIT)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._whole += len(data)
        # What is small is written at once: a thread would cost more than the disk's cache does.
        if self._whole < _LARGE_BYTES:
            self.write_out()

    def write_out(self) -> None:
        """Write what waits. Blocks for as long as the disk does."""
        if self._fault is not None:
            self._waiting.clear()
        elif self._whole >= _SHORTEST:
            try:
                if self._file is None:
                    self._path = self._new_file()
                    self._file = self._path.open("xb")
                for data in self._waiting:
                    self._file.write(data)
            except (OutOfSpace, OSError):
                self._fail("The disk is full.")
            self._waiting.clear()
        self._waiting_bytes = sum(map(len, self._waiting))

    def _fail(self, detail: str, reason: FailureReason = FailureReason.OUT_OF_RESOURCES) -> None:
        self._fault = self._fault or _refused(reason, detail)

    def finish(self) -> tuple[Path | None, Receipt | None]:
        """Close it; its path, where it was opened, and what went wrong, if anything."""
        self.write_out()
        try:
            if self._file is not None:
                self._file.close()
        except OSError:
            self._fail("The disk is full.")
        if self._file is None and self._fault is None:
            self._fault = _refused(FailureReason.CANNOT_UNDERSTAND, "The part is empty or far too short.")
        return self._path, self._fault


def status_of(receipts: Sequence[Receipt]) -> int:
    """HTTP status of a request (PS3.18 Table 10.5.3-1); 429 where the sender's quota is used, 507 where nothing could
    be stored for want of room, 503 where the database or the disk did not answer: a sender reads 409 as final.
    """
    failures = [receipt.failure for receipt in receipts if receipt.failure is not None]
    if len(failures) < len(receipts):
        return 202 if failures or any(receipt.warning for receipt in receipts) else 200
    if any(receipt.retry_after for receipt in receipts):
        return 429
    if all(failure is FailureReason.OUT_OF_RESOURCES for failure in failures):
        return 503 if any(receipt.busy for receipt in receipts) else 507
    return 409


def response_of(receipts: Sequence[Receipt], base_url: str, study: str | None) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 Table I.1-1) in DICOM JSON."""
    stored = [receipt for receipt in receipts if receipt.failure is None]
    failed = [receipt for receipt in receipts if receipt.failure is not None and receipt.sop_instance_uid]
    others = [receipt for receipt in receipts if receipt.failure is not None and not receipt.sop_instance_uid]
    studies = {receipt.study_instance_uid for receipt in stored}
    whole = study or (studies.pop() if len(studies) == 1 else None)
    body: dict[str, Any] = {
        # Type 2: there even where no study is the request's.
        "00081190": {"vr": "UR", "Value": [f"{base_url}/studies/{whole}"]} if whole and stored else {"vr": "UR"}
    }
    if stored:
        body["00081199"] = _sequence(_stored_item(receipt, base_url) for receipt in stored)
    if failed:
        body["00081198"] = _sequence(_failed_item(receipt) for receipt in failed)
    if others:
        body["0008119A"] = _sequence({"00081197": _number(_reason(receipt))} for receipt in others)
    return body


def _stored_item(receipt: Receipt, base_url: str) -> dict[str, Any]:
    place = f"studies/{receipt.study_instance_uid}/series/{receipt.series_instance_uid}"
    item = {
        **_reference(receipt),
        "00081190": {"vr": "UR", "Value": [f"{base_url}/{place}/instances/{receipt.sop_instance_uid}"]},
    }
    if receipt.warning is not None:
        item["00081196"] = _number(receipt.warning)
    return item


def _failed_item(receipt: Receipt) -> dict[str, Any]:
    return {**_reference(receipt), "00081197": _number(_reason(receipt))}


def _reason(receipt: Receipt) -> int | None:
    return None if receipt.failure is None else receipt.failure.in_stow


def _reference(receipt: Receipt) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [receipt.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [receipt.sop_instance_uid]},
    }


def _number(value: int | None) -> dict[str, Any]:
    return {"vr": "US", "Value": [int(value or 0)]}


def _sequence(items: Any) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def warning_of(receipts: Sequence[Receipt]) -> str | None:
    """A Warning header in words (RFC 7234 5.5): clients often drop the body of a failure."""
    failed = _details(receipt for receipt in receipts if receipt.failure is not None)
    failures = sum(receipt.failure is not None for receipt in receipts)
    parts = [f"{failures} of {len(receipts)} instances failed: {' '.join(failed)}"] if failed else []
    parts += _details(receipt for receipt in receipts if receipt.failure is None)
    return f'299 llm-cxr "{" ".join(parts)}"' if parts else None


def _details(receipts: Iterable[Receipt]) -> list[str]:
    return list(dict.fromkeys(receipt.detail for receipt in receipts if receipt.detail))[:3]
