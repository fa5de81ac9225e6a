"""Whether a held file is what was acknowledged: disks lose files and flip bits, and people restore parts of backups."""

from pathlib import Path
from typing import Protocol

from app.dicom.digest import has_digest
from app.errors import Gone
from app.store.spool import Spool
from app.store.transient import is_transient


class Held(Protocol):
    """What is recorded of a file in the spool."""

    @property
    def file(self) -> str | None:
        """Its name, None once retention has removed it."""

    @property
    def sha256(self) -> str:
        """The digest of its data set, empty for documents of the first release."""

    @property
    def transfer_syntax_uid(self) -> str:
        """What its File Meta Information says; empty where it says nothing."""


def verify(spool: Spool, held: Held) -> Path:
    """The path of a held file, once its data set was found to have the recorded digest and encoding. Blocks.

    Of documents of the first release only the presence is checked. Raises Gone, OSError.
    """
    if held.file is None:
        raise Gone("The retention time of its pixel data is over.", code="removed")
    path = spool.path(held.file)
    try:
        whole = (not held.sha256 and path.is_file()) or has_digest(path, held.sha256, held.transfer_syntax_uid)
    except FileNotFoundError:
        raise _missing() from None
    except OSError as error:
        if is_transient(error):
            raise
        raise _damaged() from error  # a folder in its place, a file that may not be read
    if not whole:
        raise _damaged()
    return path


def is_whole(spool: Spool, held: Held) -> bool:
    """Whether a held file is there and as it was recorded. Raises OSError."""
    try:
        verify(spool, held)
    except Gone:
        return False
    return True


def _missing() -> Gone:
    return Gone("Its file is missing from the spool; send the instance again, or restore it.", code="file_missing")


def _damaged() -> Gone:
    return Gone("Its file in the spool is damaged; send the instance again, or restore it.", code="file_damaged")
