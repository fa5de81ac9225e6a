"""The pool of decoder processes: whatever ends one, another takes its place, and at most one request notices."""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import structlog

from app.errors import CxrError, DecodersDead, Overloaded, Unavailable, UnusableImage
from app.imaging import wire
from app.imaging.decoder_handle import DecoderGone, DecoderHandle, DecodeTimeout, Sink, open_file
from app.imaging.radiograph import Radiograph
from app.imaging.sniff import sniff
from app.settings import ImagingSettings
from app.telemetry.metrics import DECODERS_REPLACED

log = structlog.get_logger(__name__)

_ATTEMPTS = 2
# How often starting a process is tried before the service is taken to be broken, and the waits between.
_START_WAITS = (0.0, 0.5, 2.0, 5.0)


class Sandbox:
    """Reads images in confined processes, one thread of the gateway to each.

    A process that died, was stopped, met a limit or keeps too much memory is replaced. An image that was being decoded
    then is decoded once more: the cause may have come from outside.
    """

    def __init__(
        self,
        limits: ImagingSettings,
        size: int,
        start: Callable[[ImagingSettings], DecoderHandle] = DecoderHandle,
        start_waits: Sequence[float] = _START_WAITS,
    ) -> None:
        self._limits = limits
        self._size = size
        self._start = start
        self._start_waits = start_waits
        self._waiting = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="decode")
        # Slots: a process, or None where one is to be started.
        self._idle: queue.LifoQueue[DecoderHandle | None] = queue.LifoQueue()
        self._busy: set[DecoderHandle] = set()
        self._closed = False
        self._broken = False
        self.missing: list[str] = []

    @property
    def alive(self) -> bool:
        """False once no process can be started any more."""
        return not self._broken

    def open(self) -> None:
        """Take requests; a process is started by the first that needs it."""
        for _ in range(self._limits.workers):
            self._idle.put(None)

    async def start(self) -> None:
        """Take requests, with the processes started. Raises DecodersDead."""
        self.open()
        started = [self._threads.submit(self._fill_a_slot) for _ in range(self._limits.workers)]
        await asyncio.gather(*(asyncio.wrap_future(one) for one in started))
        if self.missing:
            log.warning("decoders are confined in part", missing=self.missing)

    @property
    def pids(self) -> list[int]:
        """The idle processes."""
        return [handle.pid for handle in list(self._idle.queue) if handle is not None]

    async def read(self, data: bytes | Path) -> Radiograph:
        """Read one image. Raises InputError, Overloaded, Unavailable, DecodersDead, OSError."""
        if isinstance(data, bytes):
            sniff(data)  # what is no image is not handed over first
            asked = self._run(wire.Kind.READ, data)
        else:
            asked = self.ask_of_file(wire.Kind.READ, data)
        body, pixels = await asked
        if not isinstance(body, wire.ReadReply) or len(pixels) != self._size * self._size:
            raise Unavailable("The image could not be decoded; send it again.", code="decoder_failed")
        return wire.radiograph_of(body, pixels, self._size)

    async def preview(self, data: bytes) -> bytes:
        """One image for display, as PGM. Raises as `read` does."""
        body, file = await self._run(wire.Kind.PREVIEW, data)
        if not isinstance(body, wire.PreviewReply):
            raise Unavailable("The image could not be decoded; send it again.", code="decoder_failed")
        return file

    async def probe(self) -> None:
        """See that a process answers. Raises Unavailable, DecodersDead; a full queue is a sign of life."""
        try:
            await self._run(wire.Kind.PROBE, b"")
        except Overloaded:
            return

    async def _run(self, kind: wire.Kind, data: bytes) -> tuple[wire.Reply, bytes]:
        return await asyncio.wrap_future(self.ask(kind, data))

    def ask(
        self, kind: wire.Kind, data: bytes, file: int | None = None, into: Sink | None = None
    ) -> "Future[tuple[wire.Reply, bytes]]":
        """One request, with an open file that the process may read. Raises as `read` does, here or in the future.

        One that is cancelled while it runs keeps its place until it is over.
        """
        with self._lock:
            if self._broken:
                raise DecodersDead("The image decoders cannot be started.")
            if self._waiting >= self._limits.max_queue + self._limits.workers:
                raise Overloaded("Too many images wait to be decoded.")
            self._waiting += 1
        work = self._threads.submit(self._decode, kind, data, file, into)
        work.add_done_callback(self._done)
        return work

    async def ask_of_file(self, kind: wire.Kind, file: Path, data: bytes = b"") -> tuple[wire.Reply, bytes]:
        """One request about a file, which the process reads. Raises as `read` does."""
        return await asyncio.wrap_future(self.ask_of_opened(kind, await asyncio.to_thread(open_file, file), data))

    def ask_of_opened(
        self, kind: wire.Kind, opened: int, data: bytes, into: Sink | None = None
    ) -> "Future[tuple[wire.Reply, bytes]]":
        """One request about an open file, which is closed here. Raises as `ask` does."""
        try:
            asked = self.ask(kind, data, opened, into)
        except BaseException:
            os.close(opened)
            raise
        # Not before the process has been given it, even where whoever asks has left.
        asked.add_done_callback(lambda _: os.close(opened))
        return asked

    def _done(self, _: "Future[tuple[wire.Reply, bytes]]") -> None:
        with self._lock:
            self._waiting -= 1

    def _decode(self, kind: wire.Kind, data: bytes, file: int | None, into: Sink | None) -> tuple[wire.Reply, bytes]:
        for _ in range(_ATTEMPTS):
            handle = self._take()
            self._note_busy(handle)
            try:
                if into is not None:
                    into.restart()
                body, pixels = handle.ask(kind, self._size, data, file, into)
            except DecodeTimeout:
                self._replace(handle, "timeout")
                raise UnusableImage(
                    f"Decoding took longer than {self._limits.timeout_seconds:g} seconds.", code="decode_timeout"
                ) from None
            except DecoderGone as error:
                log.warning("a decoder was lost", cause=str(error))
                self._replace(handle, "died")
                continue
            except BaseException:
                self._replace(handle, "failed")
                raise
            finally:
                self._busy.discard(handle)
            return self._finish(handle, body), pixels
        raise UnusableImage("The image could not be decoded: two decoders ended over it.", code="decoder_failed")

    def _note_busy(self, handle: DecoderHandle) -> None:
        with self._lock:
            self._busy.add(handle)
            if self._closed:
                handle.signal_end()

    def _finish(self, handle: DecoderHandle, body: wire.Reply) -> wire.Reply:
        if isinstance(body, wire.StateReply) and body.reply == "out_of_memory":
            self._replace(handle, "memory")
            raise UnusableImage("The image could not be decoded within the memory limit.", code="decoder_failed")
        try:
            refusal = wire.refusal_of(body) if isinstance(body, wire.RefusalReply) else None
        except ValueError:
            self._replace(handle, "failed")
            raise Unavailable("The image could not be decoded; send it again.", code="decoder_failed") from None
        if handle.is_bloated:
            self._replace(handle, "memory")
        else:
            self._idle.put(handle)
        if refusal is not None:
            raise refusal
        return body

    def _take(self) -> DecoderHandle:
        """An idle process that lives; a slot whose process is gone is filled first. Raises DecodersDead."""
        handle = self._idle.get()
        if handle is not None and handle.alive:
            return handle
        if handle is not None:
            DECODERS_REPLACED.labels(cause="idle").inc()
            handle.kill()
        try:
            return self._started()
        except BaseException:
            self._idle.put(None)
            raise

    def _replace(self, handle: DecoderHandle, cause: str) -> None:
        """End a process and have its slot filled at once, by whichever thread is free."""
        DECODERS_REPLACED.labels(cause=cause).inc()
        handle.kill()
        self._idle.put(None)
        if not self._closed:
            self._threads.submit(self._fill_a_slot)

    def _fill_a_slot(self) -> None:
        try:
            slot = self._take()
        except CxrError:
            return
        self._idle.put(slot)

    def _started(self) -> DecoderHandle:
        """A new process. Raises DecodersDead where none can be started, and is dead from then on."""
        for wait in self._start_waits:
            time.sleep(wait)
            if self._closed:
                break
            try:
                handle = self._start(self._limits)
            except (OSError, DecoderGone) as error:
                log.error("a decoder did not start", exc_info=error)
                continue
            self.missing = handle.missing
            return handle
        self._broken = not self._closed
        raise DecodersDead("The image decoders cannot be started.")

    def close(self) -> None:
        """End the processes at once; what they were decoding ends with DecodersDead."""
        with self._lock:
            self._closed = True
            for handle in self._busy:
                handle.signal_end()
        self._threads.shutdown(cancel_futures=True)
        while not self._idle.empty():
            slot = self._idle.get()
            if slot is not None:
                slot.kill()
