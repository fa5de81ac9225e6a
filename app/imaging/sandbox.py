"""Worker processes for untrusted images: a crash, a memory bomb or an endless decode ends one request only."""

import asyncio
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from app.errors import CxrError, Overloaded, UnusableImage
from app.imaging.preview import read_preview
from app.imaging.radiograph import Radiograph
from app.imaging.reader import read_radiograph
from app.settings import ImagingSettings

T = TypeVar("T")


def _confine(memory_mb: int) -> None:
    """Limit the process before it sees any input."""
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _ready() -> None:
    """Runs once in each worker, so that the imports are over before the first image."""


class Sandbox:
    """Reads images in a pool of confined processes."""

    def __init__(self, limits: ImagingSettings, size: int) -> None:
        self._limits = limits
        self._size = size
        self._waiting = 0
        # spawn: the parent has threads and a model in memory, neither of which a decoder should inherit.
        self._pool = ProcessPool(
            max_workers=limits.workers,
            initializer=_confine,
            initargs=(limits.memory_mb,),
            context=multiprocessing.get_context("spawn"),
        )

    async def start(self) -> None:
        """Start the processes."""
        futures = [self._pool.schedule(_ready) for _ in range(self._limits.workers)]
        await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))

    async def read(self, data: bytes) -> Radiograph:
        """Read one image. Raises InputError, Overloaded."""
        return await self._run(read_radiograph, data, self._limits, self._size)

    async def preview(self, data: bytes) -> bytes:
        """One image for display, as PGM. Raises InputError, Overloaded."""
        return await self._run(read_preview, data, self._limits)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= self._limits.max_queue + self._limits.workers:
            raise Overloaded("Too many images wait to be decoded.")
        self._waiting += 1
        try:
            future = self._pool.schedule(function, args=arguments, timeout=self._limits.timeout_seconds)
            result: T = await asyncio.wrap_future(future)
            return result
        except (asyncio.CancelledError, CxrError):
            raise
        except TimeoutError as error:
            raise UnusableImage(
                f"Decoding took longer than {self._limits.timeout_seconds:g} seconds.", code="decode_timeout"
            ) from error
        except (ProcessExpired, MemoryError, CancelledError, OSError) as error:
            raise UnusableImage(
                "The image could not be decoded within the memory limit.", code="decoder_failed"
            ) from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Stop the processes."""
        self._pool.stop()
        self._pool.join()


class InlineReader:
    """Reads images in this process, on a thread. For tests and tools that trust their input."""

    def __init__(self, limits: ImagingSettings, size: int) -> None:
        self._limits = limits
        self._size = size

    async def start(self) -> None:
        """Nothing to start."""

    async def read(self, data: bytes) -> Radiograph:
        """Read one image. Raises InputError."""
        return await asyncio.to_thread(read_radiograph, data, self._limits, self._size)

    async def preview(self, data: bytes) -> bytes:
        """One image for display, as PGM. Raises InputError."""
        return await asyncio.to_thread(read_preview, data, self._limits)

    def close(self) -> None:
        """Nothing to stop."""
