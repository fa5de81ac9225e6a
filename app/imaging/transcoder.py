"""Instances in Explicit VR Little Endian, and their bulk data: made in confined processes, taken piece by piece."""

import asyncio
import threading
from concurrent.futures import Future
from pathlib import Path

from app.errors import Unavailable
from app.imaging import wire
from app.imaging.decoder_handle import Sink, open_file
from app.imaging.sandbox import Sandbox
from app.settings import ImagingSettings


class Transcoder:
    """Its processes start with the first instance that needs one, and are none of those for headers and images."""

    def __init__(self, limits: ImagingSettings) -> None:
        self._limits = limits.model_copy(
            update={"workers": limits.transcode_workers, "timeout_seconds": limits.transcode_seconds}
        )
        self._lock = threading.Lock()
        self._pool: Sandbox | None = None

    async def transcode(self, file: Path, into: Sink) -> None:
        """An instance in Explicit VR Little Endian goes to `into`, which is closed where that fails.

        Raises InputError, Overloaded, Unavailable, DecodersDead, OSError, and what `into` does.
        """
        await self._ask(wire.Kind.TRANSCODE, file, b"", into)

    async def bulk(self, file: Path, path: str, into: Sink) -> None:
        """The value at a path of tags and items goes to `into`. Raises as above, NotFound without such a value."""
        await self._ask(wire.Kind.BULK, file, path.encode(), into)

    async def _ask(self, kind: wire.Kind, file: Path, data: bytes, into: Sink) -> None:
        asked: Future[tuple[wire.Reply, bytes]] | None = None
        try:
            opened = await asyncio.to_thread(open_file, file)
            asked = self._processes().ask_of_opened(kind, opened, data, into)
            body, _ = await asyncio.wrap_future(asked)
            if not isinstance(body, wire.BytesReply):
                raise Unavailable("The instance could not be read; send it again.", code="decoder_failed")
        except BaseException:
            # Not while a thread writes to it, which goes on where whoever asks has left.
            if asked is None:
                into.close()
            else:
                asked.add_done_callback(lambda _: into.close())
            raise

    def _processes(self) -> Sandbox:
        with self._lock:
            if self._pool is None or not self._pool.alive:
                self._pool = Sandbox(self._limits, 0)
                self._pool.open()
            return self._pool

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None
