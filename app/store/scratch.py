"""An unnamed file on the spool's disk: for what is made of an instance while it is sent. It ends with the process."""

import tempfile

from app.errors import OutOfSpace
from app.store.spool import Spool


class Scratch:
    """Written once by one thread, then read. Raises OutOfSpace where the disk is past its watermark."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._check()
        self._file = tempfile.TemporaryFile(dir=spool.folder, prefix=".")  # noqa: SIM115  closed by `close`
        self.size = 0

    def _check(self) -> None:
        if self._spool.free_bytes() < self._spool.reserve_bytes:
            raise OutOfSpace("The disk is full; nothing is made of an instance until there is room.")

    def restart(self) -> None:
        """Empty it."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append. Raises OutOfSpace, OSError."""
        self._check()
        self._file.write(data)
        self.size += len(data)

    def rewind(self) -> None:
        """Read from the beginning."""
        self._file.seek(0)

    def read(self, size: int) -> bytes:
        """The next bytes, none at the end."""
        return self._file.read(size)

    def close(self) -> None:
        """Give its room back."""
        self._file.close()
