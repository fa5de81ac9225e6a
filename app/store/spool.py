"""The spool: instances as files in the state folder, named at random and never after what they hold."""

import os
import shutil
import uuid
from pathlib import Path

from app.errors import OutOfSpace


class Spool:
    """One folder of Part 10 files. The database says which of them are held; the others are remains."""

    def __init__(self, folder: Path, min_free_mb: int) -> None:
        self.folder = folder
        self._min_free = min_free_mb * 1_000_000
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def reserve_bytes(self) -> int:
        """Free bytes below which nothing is taken."""
        return self._min_free

    def free_bytes(self) -> int:
        """Bytes that are free on its disk."""
        return shutil.disk_usage(self.folder).free

    def new_file(self) -> Path:
        """A path that does not exist yet. Raises OutOfSpace where the disk is past its watermark."""
        if self.free_bytes() < self._min_free:
            raise OutOfSpace("The disk is full; no study is taken until there is room.")
        return self.folder / f"{uuid.uuid4().hex}.dcm"

    def path(self, name: str) -> Path:
        """The path of a held file."""
        return self.folder / name

    def write(self, data: bytes) -> Path:
        """Write a file durably; returns its path. Raises OSError, and leaves nothing then."""
        path = self.folder / f"{uuid.uuid4().hex}.dcm"
        try:
            path.write_bytes(data)
            sync_file(path)
            self.sync()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def sync(self) -> None:
        """Make the names of files durable."""
        sync_file(self.folder)

    def names(self) -> set[str]:
        """The names of all files."""
        with os.scandir(self.folder) as entries:
            return {entry.name for entry in entries}


def sync_file(path: Path) -> None:
    """Fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
