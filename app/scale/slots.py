"""A folder for each replica of a machine: two that compile into one cache would be in each other's way."""

import fcntl
import os
from pathlib import Path


class Slot:
    """The first folder `name-0`, `name-1`, ... below `parent` that no other process holds; held as long as this lives.

    A replica that is started again finds what the one before it has compiled.
    """

    def __init__(self, parent: Path, name: str) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        number = 0
        while True:
            self.folder = parent / f"{name}-{number}"
            self.folder.mkdir(exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                os.close(self._lock)
                number += 1

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)
