"""Reads images without the processes that confine them."""

import asyncio
from pathlib import Path

from app.imaging.preview import read_preview
from app.imaging.radiograph import Radiograph
from app.imaging.reader import read_radiograph
from app.settings import ImagingSettings


class InlineReader:
    """Reads images in this process, on a thread. For tests and tools that trust their input."""

    def __init__(self, limits: ImagingSettings, size: int) -> None:
        self._limits = limits
        self._size = size
        self.alive = True

    async def start(self) -> None:
        """Nothing to start."""

    async def read(self, data: bytes | Path) -> Radiograph:
        """Read one image. Raises InputError, OSError."""
        held = data if isinstance(data, bytes) else await asyncio.to_thread(data.read_bytes)
        return await asyncio.to_thread(read_radiograph, held, self._limits, self._size)

    async def preview(self, data: bytes) -> bytes:
        """One image for display, as PGM. Raises InputError."""
        return await asyncio.to_thread(read_preview, data, self._limits)

    async def probe(self) -> None:
        """Nothing to ask."""

    def close(self) -> None:
        """Nothing to stop."""
