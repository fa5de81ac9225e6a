"""Makes received instances durable: checked, synced, recorded with their study's work, then acknowledged."""

import contextlib
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from app.dicom.digest import content_digest
from app.dicom.header import Header, NotStorable
from app.dicom.opening import Opening
from app.dicom.status import FailureReason, Receipt
from app.imaging.headers import Headers
from app.ingest.refusals import fault, refusal
from app.queues import batches
from app.store.database import Database
from app.store.integrity import is_whole
from app.store.recording import Arrival, Enqueue, NotLookedAt, record
from app.store.spool import Spool, sync_file
from app.store.transient import is_transient
from app.telemetry import tracing

_THREADS, _SLOW_THREADS = 4, 2
_BATCH = 64
_CHUNK = 1_000_000
_HELD_SECONDS = 60.0
# A commit costs as much as this many seconds of a processor: what is nearly ready shares it.
_LINGER_SECONDS = 0.005


@dataclass(frozen=True)
class Incoming:
    """A file that was handed over, and the promise of its receipt."""

    file: Path
    sender: str
    study: str | None
    instance: str | None
    receipt: "Future[Receipt]"
    trace: str | None


@dataclass(frozen=True)
class Ready:
    """A file that was checked and synced, and what is to be recorded of it."""

    incoming: Incoming
    arrival: Arrival


class Ingestor:
    """The Ingest of the service.

    Threads check what has arrived and sync it; what is deflated is checked on threads of its own, as inflating may take
    seconds. One thread drains what is ready into a batch (group commit) and records it in one transaction, so that
    senders share the cost. `enqueue` puts a job's workflow into the same transaction.
    """

    def __init__(self, spool: Spool, database: Database, enqueue: Enqueue, headers: Headers) -> None:
        self._spool = spool
        self._database = database
        self._enqueue = enqueue
        self._headers = headers
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="intake")
        self._slow_threads = ThreadPoolExecutor(_SLOW_THREADS, thread_name_prefix="inflate")
        self._ready: queue.Queue[Ready | None] = queue.Queue()
        self._committer = threading.Thread(target=self._ingest_batches, name="ingest", daemon=True)
        self._senders: Counter[str] = Counter()
        self._sent: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to accept."""
        self._committer.start()

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        # In this order: each hands on to the next.
        self._threads.shutdown()
        self._slow_threads.shutdown()
        if self._committer.is_alive():
            self._ready.put(None)
            self._committer.join()

    def new_file(self) -> Path:
        """A path for the bytes of one instance. Raises OutOfSpace."""
        return self._spool.new_file()

    def accept(
        self, file: Path, *, sender: str, study: str | None = None, instance: str | None = None
    ) -> "Future[Receipt]":
        """Take a written file over; see Ingest."""
        receipt: Future[Receipt] = Future()
        # From here on it cannot be cancelled: the sender may leave, and what it handed over is still recorded.
        receipt.set_running_or_notify_cancel()
        self._threads.submit(self._open, Incoming(file, sender, study, instance, receipt, tracing.traceparent()))
        return receipt

    @contextlib.contextmanager
    def sending(self, sender: str) -> Iterator[None]:
        """While the block runs, studies that `sender` has sent instances of are not taken to be complete."""
        with self._lock:
            self._senders[sender] += 1
        try:
            yield
        finally:
            with self._lock:
                self._senders[sender] -= 1
                if not self._senders[sender]:
                    del self._senders[sender]
                    self._sent.pop(sender, None)

    def is_being_sent(self, study: str) -> bool:
        """Whether a sender of this study's instances is still connected, and has sent one of them within a minute.

        An association that some PACS keeps open for all its studies holds none of them back for long.
        """
        since = time.monotonic() - _HELD_SECONDS
        with self._lock:
            return any(studies.get(study, since) > since for studies in self._sent.values())

    def _open(self, one: Incoming) -> None:
        """Find out how a file begins, and check it on the threads that this says."""
        try:
            opening = self._headers.opening(one.file)
            if opening.deflated:
                self._slow_threads.submit(self._check, one, opening)
            else:
                self._check(one, opening)
        except NotStorable as refused:
            _drop(one, refusal(refused.header, refused.reason, refused.detail))
        except BaseException as error:  # every outcome is a receipt
            _drop(one, fault(error, None))

    def _check(self, one: Incoming, opening: Opening) -> None:
        """Check and sync a file, and hand it to the committer."""
        header = None
        try:
            header = self._headers.read(one.file, opening)
            _check_identity(header, one)
            if header.prefix:
                _prepend(header.prefix, one.file)
            digest = content_digest(one.file, len(header.prefix) + header.start)
            sync_file(one.file)
            arrival = Arrival(header, one.file.name, digest, one.file.stat().st_size, one.sender, one.trace)
            with self._lock:
                if one.sender in self._senders:
                    self._sent.setdefault(one.sender, {})[header.study_instance_uid] = time.monotonic()
            self._ready.put(Ready(one, arrival))
        except NotStorable as refused:
            _drop(one, refusal(refused.header, refused.reason, refused.detail))
        except BaseException as error:  # as above
            _drop(one, fault(error, header))

    def _ingest_batches(self) -> None:
        for batch in batches(self._ready, _BATCH, linger_seconds=_LINGER_SECONDS):
            try:
                self._ingest(batch)
            except Exception as error:  # the thread must survive unexpected errors
                for one in batch:
                    if not one.incoming.receipt.done():
                        one.incoming.receipt.set_result(fault(error, None))

    def _ingest(self, batch: Sequence[Ready]) -> None:
        recorded = self._commit([one.arrival for one in batch])
        for one, (receipt, kept) in zip(batch, recorded, strict=True):
            if kept:
                one.incoming.receipt.set_result(receipt)
            else:
                _drop(one.incoming, receipt)

    def _commit(self, arrivals: Sequence[Arrival]) -> list[tuple[Receipt, bool]]:
        lost: dict[str, str] = {}
        try:
            self._spool.sync()
            outcomes = self._record(arrivals, lost)
        except Exception as error:
            if len(arrivals) == 1 or is_transient(error):
                return [(fault(error, arrival.header), False) for arrival in arrivals]
            # One cannot be stored, such as a text with NUL in PostgreSQL; the others have nothing to do with it.
            return [outcome for arrival in arrivals for outcome in self._commit([arrival])]
        replaced = {
            arrival.header.sop_instance_uid for arrival, (_, kept) in zip(arrivals, outcomes, strict=True) if kept
        }
        with contextlib.suppress(OSError):  # they are recorded, and a start sets it aside as well
            self._spool.set_aside((file for uid, file in lost.items() if uid in replaced), damaged=True)
        return outcomes

    def _record(self, arrivals: Sequence[Arrival], lost: dict[str, str]) -> list[tuple[Receipt, bool]]:
        """Record arrivals; `lost` gets the files that are missing or damaged of instances that arrive again, by UID."""
        looked_at: set[str] = set()
        while True:
            try:
                with self._database.transaction() as connection:
                    return record(self._database, connection, arrivals, self._enqueue, lost.keys(), looked_at)
            except NotLookedAt as again:  # outside of the transaction: reading a file takes a while
                looked_at |= {row.sop_instance_uid for row in again.rows}
                lost |= {row.sop_instance_uid: row.file for row in again.rows if not is_whole(self._spool, row)}


def _check_identity(header: Header, one: Incoming) -> None:
    if one.study is not None and header.study_instance_uid != one.study:
        detail = "The instance belongs to another study than the request."
        raise NotStorable(FailureReason.STUDY_MISMATCH, detail, header)
    if one.instance is not None and header.sop_instance_uid != one.instance:
        # PS3.4 B.2.3: the data set does not match what the request names.
        detail = "The data set has another SOP Instance UID than its request."
        raise NotStorable(FailureReason.STUDY_MISMATCH, detail, header)


def _drop(one: Incoming, receipt: Receipt) -> None:
    one.file.unlink(missing_ok=True)
    one.receipt.set_result(receipt)


def _prepend(prefix: bytes, file: Path) -> None:
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
