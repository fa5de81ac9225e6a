"""An ingestor on an empty database."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.dicom.status import Receipt
from app.imaging.headers import Headers
from app.ingest.ingestor import Ingestor
from app.ingest.study_tokens import StudyTokens
from app.settings import ImagingSettings, OnChange
from app.store.database import Database
from app.store.owners import NOBODY, Owner
from app.store.spool import Spool


class Held:
    """An ingestor on an empty database, and the jobs that it enqueued."""

    def __init__(self, folder: Path, url: str | None = None, on_change: OnChange = "replace_same_patient") -> None:
        self.enqueued: list[str] = []
        self.spool = Spool(folder / "spool", 0)
        self.database = Database(url or f"sqlite:///{folder / 'x.sqlite'}")
        self.headers = Headers(ImagingSettings())
        self.tokens = StudyTokens(100)
        self.ingestor = Ingestor(self.spool, self.database, self._enqueue, self.headers, self.tokens, on_change)
        self.fault: Exception | None = None

    def _enqueue(self, connection: sa.Connection, job: str, trace: str | None) -> None:
        if self.fault is not None:
            raise self.fault
        self.enqueued.append(job)

    def accept(
        self, data: bytes, sender: str = "A", named: str | None = None, owner: Owner = NOBODY, **options: Any
    ) -> Receipt:
        """What becomes of an instance."""
        return self.hand_over(data, sender, named, owner, **options).result(30)

    def hand_over(
        self, data: bytes, sender: str = "A", named: str | None = None, owner: Owner = NOBODY, **options: Any
    ) -> "Future[Receipt]":
        """Hand an instance over, whose request names a SOP Instance UID."""
        path = self.spool.new_file()
        path.write_bytes(data)
        return self.ingestor.accept(path, sender=sender, instance=named, owner=owner, **options)

    def close(self) -> None:
        """Finish what was accepted, and close what is open."""
        self.ingestor.close()
        self.headers.close()
        self.database.close()
