"""The wall clock of a process, set forward and back while it runs; its database's in the process too (SQLite)."""

import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """Compiles the library that does it; `environment` is what a process has to be started with."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError where there is no C compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise FileNotFoundError("there is no C compiler")
        library = folder / "clock.so"
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
        self._offset = folder / "clock"
        self._offset.write_bytes(struct.pack("q", 0))
        self.environment = {"LD_PRELOAD": str(library), "SOAK_CLOCK": str(self._offset)}

    def set(self, seconds: int) -> None:
        """Let it be so much ahead of the machine's."""
        with self._offset.open("r+b") as file:  # in place: the processes have it mapped
            file.write(struct.pack("q", seconds))
