"""The seam between what receives instances (STOW-RS, C-STORE) and what stores them."""

from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from app.dicom.status import Receipt
from app.ingest.study_tokens import Reserve
from app.security.audit.events import Kind
from app.store.owners import NOBODY, Owner


class Ingest(Protocol):
    """Takes received instances over and makes them durable."""

    def new_file(self) -> Path:
        """A path in the spool that does not exist yet, for the bytes of one instance.

        Raises OutOfSpace where the disk is past its watermark.
        """

    def accept(
        self,
        file: Path,
        *,
        sender: str,
        owner: Owner = NOBODY,
        reserve: Reserve | None = None,
        study: str | None = None,
        instance: str | None = None,
        sop_class: str | None = None,
        character_set: str | None = None,
    ) -> "Future[Receipt]":
        """Take a written, closed file over: check it, make it durable, enqueue its study.

        The future never raises: every outcome is a Receipt. A file that is not kept is deleted. `study`, `instance`
        and `sop_class` are the Study, SOP Instance and SOP Class UID that the request named, which it has to match.
        `sender` names the association or request that it came by, `owner` whose it is from then on. `reserve` sets the
        tokens of a report aside for that owner. `character_set` are the defined terms that the data set is to state.
        May be called from any thread.
        """

    def sending(self, sender: str) -> AbstractContextManager[None]:
        """While the block runs, studies that `sender` sends instances of are not taken to be complete.

        One name for each association or request: a sender may have several.
        """


class Audit(Protocol):
    """Where it is recorded who did what; see `app.security.audit.AuditLog`."""

    def note(
        self,
        kind: Kind,
        who: str,
        what: str,
        outcome: str,
        *,
        studies: Iterable[str] = (),
        patients: Iterable[str] = (),
        **facts: Any,
    ) -> None:
        """Record an event."""

    def refuse(self, kind: Kind, source: str, what: str, outcome: str, **facts: str | int) -> None:
        """Record that nobody known was refused."""
