"""Makes received instances durable: checked, synced, recorded with their study's work, then acknowledged."""

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from app.dicom.digest import content_digest
from app.dicom.header import NotStorable
from app.dicom.opening import Opening
from app.dicom.status import FailureReason, Receipt
from app.errors import RateLimited
from app.imaging.headers import Headers
from app.ingest.comparison import compared
from app.ingest.incoming import Incoming, Named, Ready, prepend
from app.ingest.refusals import fault, refusal
from app.ingest.study_tokens import Reserve, StudyTokens
from app.queues import batches
from app.settings import OnChange
from app.store.arrivals import Arrival, ToCompare
from app.store.database import Database
from app.store.integrity import is_whole
from app.store.owners import NOBODY, Owner
from app.store.recording import Enqueue, HeldByAnother, NotLookedAt, record
from app.store.spool import Spool, sync_file
from app.store.transient import is_transient
from app.telemetry import tracing

_THREADS, _SLOW_THREADS = 4, 2
_BATCH = 64
_HELD_SECONDS = 60.0
# A commit costs as much as this many seconds of a processor: what is nearly ready shares it.
_LINGER_SECONDS = 0.005


class Ingestor:
    """The Ingest of the service.

    Threads check what has arrived and sync it; what is deflated is checked on threads of its own, as inflating may take
    seconds. One thread drains what is ready into a batch (group commit) and records it in one transaction, so that
    senders share the cost. `enqueue` puts a job's workflow into the same transaction. `tokens` counts a report's for
    who sent its study.
    """

    def __init__(
        self,
        spool: Spool,
        database: Database,
        enqueue: Enqueue,
        headers: Headers,
        tokens: StudyTokens | None = None,
        on_change: OnChange = "replace_same_patient",
    ) -> None:
        self._on_change = on_change
        self._tokens = tokens
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
        self,
        file: Path,
        *,
        sender: str,
        owner: Owner = NOBODY,
        reserve: Reserve | None = None,
        study: str | None = None,
        instance: str | None = None,
        sop_class: str | None = None,
        character_set: str | None = None,
    ) -> "Future[Receipt]":
        """Take a written file over; see Ingest."""
        receipt: Future[Receipt] = Future()
        # From here on it cannot be cancelled: the sender may leave, and what it handed over is still recorded.
        receipt.set_running_or_notify_cancel()
        try:
            settle = self._tokens.set_aside(reserve) if self._tokens is not None else None
        except RateLimited as error:
            file.unlink(missing_ok=True)
            wait, reason = error.retry_after, FailureReason.OUT_OF_RESOURCES
            receipt.set_result(Receipt(None, None, failure=reason, detail=error.detail, busy=True, retry_after=wait))
            return receipt
        trace = tracing.traceparent()
        named = Named(study, instance, sop_class)
        self._threads.submit(self._open, Incoming(file, sender, owner, settle, named, receipt, trace, character_set))
        return receipt

    def _answer(self, one: Incoming, receipt: Receipt, *, kept: bool = False) -> None:
        """Give the receipt; what was set aside stays so where a job began."""
        if not kept:
            one.file.unlink(missing_ok=True)
        if one.settle is not None:
            if receipt.opened is None:
                one.settle(0)
            elif self._tokens is not None:
                self._tokens.hold(receipt.opened, one.settle)
        one.receipt.set_result(receipt)

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
            self._answer(one, refusal(refused.header, refused.reason, refused.detail))
        except BaseException as error:  # every outcome is a receipt
            self._answer(one, fault(error, None))

    def _check(self, one: Incoming, opening: Opening) -> None:
        """Check and sync a file, and hand it to the committer."""
        header = None
        try:
            header = one.header(opening, self._headers)
            one.named.check(header)
            if header.prefix:
                prepend(header.prefix, one.file)
            digest = content_digest(one.file, len(header.prefix) + header.start)
            sync_file(one.file)
            arrival = Arrival(header, one.file.name, digest, one.file.stat().st_size, one.sender, one.owner, one.trace)
            with self._lock:
                if one.sender in self._senders:
                    self._sent.setdefault(one.sender, {})[header.study_instance_uid] = time.monotonic()
            self._ready.put(Ready(one, arrival))
        except NotStorable as refused:
            self._answer(one, refusal(refused.header, refused.reason, refused.detail))
        except BaseException as error:  # as above
            self._answer(one, fault(error, header))

    def _ingest_batches(self) -> None:
        for batch in batches(self._ready, _BATCH, linger_seconds=_LINGER_SECONDS):
            try:
                self._ingest(batch)
            except Exception as error:  # the thread must survive unexpected errors
                for one in batch:
                    if not one.incoming.receipt.done():
                        self._answer(one.incoming, fault(error, None), kept=True)

    def _ingest(self, batch: Sequence[Ready]) -> None:
        recorded = self._commit([one.arrival for one in batch])
        for one, (outcome, kept) in zip(batch, recorded, strict=True):
            if isinstance(outcome, Receipt):
                self._answer(one.incoming, outcome, kept=kept)
                continue
            try:
                self._slow_threads.submit(self._compare, one, outcome)
            except RuntimeError:  # the service stops
                detail = "The service stops; send it again."
                self._answer(one.incoming, refusal(one.arrival.header, FailureReason.OUT_OF_RESOURCES, detail))

    def _compare(self, one: Ready, to: ToCompare | None) -> None:
        """Find out how an arrival is like what is held, and hand it to the committer again."""
        try:
            found = None if to is None else compared(one.arrival, to, self._spool, self._headers)
            self._ready.put(replace(one, arrival=replace(one.arrival, compared=found)))
        except NotStorable as refused:
            self._answer(one.incoming, refusal(one.arrival.header, refused.reason, refused.detail))
        except BaseException as error:  # every outcome is a receipt
            self._answer(one.incoming, fault(error, one.arrival.header))

    def _commit(self, arrivals: Sequence[Arrival]) -> list[tuple[Receipt | ToCompare | None, bool]]:
        lost: dict[str, str] = {}
        try:
            self._spool.sync()
            outcomes = self._record(arrivals, lost)
        except Exception as error:
            if len(arrivals) == 1 or is_transient(error):
                return [(fault(error, arrival.header), False) for arrival in arrivals]
            # One cannot be stored, such as a text with NUL in PostgreSQL; the others have nothing to do with it.
            return [outcome for arrival in arrivals for outcome in self._commit([arrival])]
        kept = [arrival for arrival, (_, is_kept) in zip(arrivals, outcomes, strict=True) if is_kept]
        for one in kept:
            if one.compared is not None and not one.compared.was_whole and one.compared.file is not None:
                lost[one.header.sop_instance_uid] = one.compared.file
        replaced = {one.header.sop_instance_uid for one in kept}
        with contextlib.suppress(OSError):  # they are recorded, and a start sets it aside as well
            self._spool.set_aside((file for uid, file in lost.items() if uid in replaced), damaged=True)
        return outcomes

    def _record(
        self, arrivals: Sequence[Arrival], lost: dict[str, str]
    ) -> list[tuple[Receipt | ToCompare | None, bool]]:
        """Record arrivals; `lost` gets the files that are missing or damaged of instances that arrive again, by UID."""
        looked_at: set[str] = set()
        while True:
            try:
                with self._database.transaction() as connection:
                    enqueue, policy = self._enqueue, self._on_change
                    return record(self._database, connection, arrivals, enqueue, lost.keys(), looked_at, policy)
            except HeldByAnother:
                continue  # what it is now recorded as says so from the first look
            except NotLookedAt as again:  # outside of the transaction: reading a file takes a while
                looked_at |= {row.sop_instance_uid for row in again.rows}
                lost |= {row.sop_instance_uid: row.file for row in again.rows if not is_whole(self._spool, row)}
