"""Whether a held file is what was acknowledged: disks lose files and flip bits, and people restore parts of backups."""

from pathlib import Path

from app.dicom.digest import has_digest
from app.errors import Gone
from app.store.spool import Spool
from app.store.transient import is_transient


def verify(spool: Spool, name: str | None, sha256: str) -> Path:
    """The path of a held file, once its data set was found to have the recorded digest. Blocks.

    `name` is None where retention has removed the file; `sha256` is empty for documents of the first release, of which
    only the presence is checked. Raises Gone, OSError.
    """
    if name is None:
        raise Gone("The retention time of its pixel data is over.", code="removed")
    path = spool.path(name)
    try:
        whole = has_digest(path, sha256) if sha256 or not path.is_file() else True
    except FileNotFoundError:
        raise _missing() from None
    except OSError as error:
        if is_transient(error):
            raise
        raise _damaged() from error  # a folder in its place, a file that may not be read
    if not whole:
        raise _damaged()
    return path


def is_whole(spool: Spool, name: str | None, sha256: str) -> bool:
    """Whether a held file is there and has the recorded digest. Raises OSError."""
    try:
        verify(spool, name, sha256)
    except Gone:
        return False
    return True


def _missing() -> Gone:
    return Gone("Its file is missing from the spool; send the instance again, or restore it.", code="file_missing")


def _damaged() -> Gone:
    return Gone("Its file in the spool is damaged; send the instance again, or restore it.", code="file_damaged")
