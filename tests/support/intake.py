"""A DIMSE port without the service behind it."""

import contextlib
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from app.dicom.header import NotStorable
from app.dicom.status import Receipt
from app.errors import OutOfSpace
from app.imaging.headers import Headers
from app.ingest.incoming import Named
from app.ingest.protocol import Audit
from app.ingest.scp import StorageScp
from app.settings import DimseSettings, ImagingSettings
from app.store.owners import NOBODY, Owner


class FakeIntake:
    """Keeps what it is given in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[Path] = []
        self.full = False
        self.senders: list[str] = []
        self.owners: list[Owner] = []

    def new_file(self) -> Path:
        if self.full:
            raise OutOfSpace("full")
        return self.folder / f"{uuid.uuid4().hex}.dcm"

    def accept(
        self,
        file: Path,
        *,
        sender: str,
        owner: Owner = NOBODY,
        instance: str | None = None,
        sop_class: str | None = None,
        character_set: str | None = None,
        **_: Any,
    ) -> "Future[Receipt]":
        self.owners.append(owner)
        done: Future[Receipt] = Future()
        try:
            headers = Headers(ImagingSettings())
            header = headers.read(file, headers.opening(file))
            Named(None, instance, sop_class).check(header)
            self.kept.append(file)
            done.set_result(Receipt(header.sop_class_uid, header.sop_instance_uid))
        except NotStorable as error:
            file.unlink()
            done.set_result(Receipt(None, None, failure=error.reason, detail=error.detail))
        return done

    @contextlib.contextmanager
    def sending(self, sender: str) -> Iterator[None]:
        self.senders.append(sender)
        yield
        self.senders.remove(sender)


@contextlib.contextmanager
def listening(
    intake: FakeIntake, max_bytes: int = 100_000_000, audit: Audit | None = None, **settings: Any
) -> Iterator[StorageScp]:
    """A storage SCP that hands what it receives to the intake."""
    scp = StorageScp(DimseSettings(port=0, **settings), "127.0.0.1", intake, max_bytes, audit)
    scp.start()
    try:
        yield scp
    finally:
        scp.stop()
