"""Files of a bundle in the making: hashed while they are written, kept when the import is cut off."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from models.bundle import FileEntry

_JOURNAL = "import.json"
_CHUNK = 16 * 2**20


def fingerprint(file: Path) -> str:
    """Name, size and time of a source file: enough to notice that it is another one."""
    stat = file.stat()
    return f"{file.name} {stat.st_size} {stat.st_mtime_ns}"


class Writer:
    """Writes below `folder`, which may hold what an earlier import of the same source wrote."""

    def __init__(self, folder: Path, source: str) -> None:
        """`source` names everything the bundle is made of; another source begins anew."""
        self.folder = folder
        self.entries: dict[str, FileEntry] = {}
        self._source = source
        self._finished: dict[str, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        try:
            journal = json.loads((folder / _JOURNAL).read_text())
        except (OSError, ValueError):
            return
        if journal.get("source") != source:
            return
        entries = {name: FileEntry(**entry) for name, entry in journal["entries"].items()}
        if all(self._size(name) == entry.bytes for name, entry in entries.items()):
            self.entries, self._finished = entries, journal["finished"]

    def _size(self, name: str) -> int:
        path = self.folder / name
        return path.stat().st_size if path.is_file() else -1

    def finished(self, file: Path) -> dict[str, Any] | None:
        """What `finish` noted about a source file, None where it is still to be converted."""
        return self._finished.get(fingerprint(file))

    def finish(self, file: Path, note: dict[str, Any]) -> None:
        """Note that everything of a source file is written."""
        self._finished[fingerprint(file)] = note
        journal = {
            "source": self._source,
            "entries": {name: entry.model_dump() for name, entry in self.entries.items()},
            "finished": self._finished,
        }
        partial = self.folder / f"{_JOURNAL}.partial"
        partial.write_text(json.dumps(journal))
        partial.replace(self.folder / _JOURNAL)

    def content(self, name: str, data: bytes) -> None:
        """Write a file and remember its checksum."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        total = hashlib.sha256()
        view = memoryview(data)
        with path.open("wb") as stream:
            for start in range(0, len(view), _CHUNK):
                total.update(view[start : start + _CHUNK])
                stream.write(view[start : start + _CHUNK])
        self.entries[name] = FileEntry(sha256=total.hexdigest(), bytes=len(view))

    def text(self, name: str, text: str) -> None:
        """Write a text file."""
        self.content(name, text.encode())

    def tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write a safetensors file."""
        self.content(name, save(tensors, metadata={"format": "pt"}))

    def adopt(self, name: str) -> None:
        """Take over a file that something else wrote."""
        self.content(name, (self.folder / name).read_bytes())

    def close(self) -> None:
        """Remove what is not part of the bundle."""
        for file in sorted(self.folder.rglob("*"), reverse=True):
            if file.is_file() and file.relative_to(self.folder).as_posix() not in self.entries:
                file.unlink()
