"""The spool: instances as files in the state folder, named at random and never after what they hold."""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path

from app.errors import OutOfSpace

_ID = ".id"
_UNKNOWN, _DAMAGED = "unknown", "damaged"


class Spool:
    """One folder of Part 10 files. The database says which of them are held; others are set aside in `unknown/`.

    The folder carries an id, by which a database tells that it is the one whose files it names.
    """

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
        """The names of all files, those that were set aside left out."""
        return _files(self.folder)

    @property
    def identity(self) -> str | None:
        """The folder's id; None where it has none yet."""
        try:
            return (self.folder / _ID).read_text().strip() or None
        except FileNotFoundError:
            return None

    def identify(self, identity: str) -> None:
        """Give the folder an id, durably."""
        fresh = self.folder / f"{_ID}.{uuid.uuid4().hex}"
        fresh.write_text(f"{identity}\n")
        sync_file(fresh)
        fresh.replace(self.folder / _ID)
        self.sync()

    @property
    def unknown(self) -> Path:
        """The folder of files that were set aside; there once one was."""
        return self.folder / _UNKNOWN

    def unknown_names(self) -> set[str]:
        """The names of files that were set aside."""
        return _files(self.unknown)

    def set_aside_files(self) -> list[Path]:
        """All files that were set aside, those that were replaced among them."""
        folders = (self.unknown, self.folder / _DAMAGED)
        return sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())

    def set_aside(self, names: Iterable[str], *, damaged: bool = False) -> None:
        """Move files to where nothing but an operator removes them: those that were replaced as `damaged` to a folder
        of their own, from which nothing is taken in again.
        """
        names, folder = list(names), self.folder / _DAMAGED if damaged else self.unknown
        if not names:
            return
        folder.mkdir(exist_ok=True)
        for name in names:
            # Gone meanwhile: another process was at it.
            with contextlib.suppress(FileNotFoundError):
                self.path(name).rename(folder / name)
        sync_file(folder)
        self.sync()

    def put_back(self, names: Iterable[str]) -> None:
        """Undo `set_aside`."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                (self.unknown / name).rename(self.path(name))
        self.sync()

    def now(self) -> float:
        """The time by the file system's clock, in seconds since the epoch: that of the files' own times."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".") as probe:
            return os.fstat(probe.fileno()).st_mtime


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()}
    except FileNotFoundError:
        return set()


def sync_file(path: Path) -> None:
    """Fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
