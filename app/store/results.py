"""Documents that the service wrote: instances of origin `result` in the spool."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from pydicom.dataset import Dataset

from app.dicom.header import Header, attributes_of
from app.dicom.secondary_capture import to_bytes
from app.store.database import Database
from app.store.recording import instance_row
from app.store.spool import Spool
from app.store.tables import instances


class Results:
    """Keeps and finds documents. Synchronous, to be called off the event loop."""

    def __init__(self, database: Database, spool: Spool) -> None:
        self._database = database
        self._spool = spool

    def keep(self, job_id: str, written: Sequence[Dataset]) -> list[str]:
        """Keep documents durably, those that are held already excepted; returns their SOP Instance UIDs."""
        uids = [str(dataset.SOPInstanceUID) for dataset in written]
        held = {row.sop_instance_uid for row in self._rows(uids)}
        rows: list[dict[str, object]] = []
        files: list[Path] = []
        try:
            for dataset in written:
                if dataset.SOPInstanceUID in held:
                    continue
                data = to_bytes(dataset)
                files.append(self._spool.write(data))
                row = instance_row(_header(dataset), files[-1].name, "", len(data))
                rows.append({**row, "origin": "result", "sender": "", "job": job_id, "received": time.time()})
            with self._database.transaction() as connection:
                self._database.insert_new(connection, instances, rows)
        except (OSError, sa.exc.SQLAlchemyError):
            self._remove_unnamed(files, uids)
            raise
        return uids

    def _remove_unnamed(self, files: Sequence[Path], uids: Sequence[str]) -> None:
        """Remove files that no row names: keeping is tried again. A commit that seemed to fail may have been one."""
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            named = {row.file for row in self._rows(uids)}
            for file in files:
                if file.name not in named:
                    file.unlink(missing_ok=True)

    def files(self, uids: Sequence[str]) -> list[Path]:
        """The documents' files, in the order of their UIDs."""
        names = {row.sop_instance_uid: row.file for row in self._rows(uids)}
        return [self._spool.path(names[uid]) for uid in uids]

    def predecessors(self, uids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Series and SOP Instance UID of documents, by SOP class."""
        return {row.sop_class_uid: (row.series_uid, row.sop_instance_uid) for row in self._rows(uids)}

    def _rows(self, uids: Sequence[str]) -> Sequence[sa.Row[tuple[object, ...]]]:
        with self._database.reading() as connection:
            return connection.execute(  # type: ignore[no-any-return]
                sa.select(instances).where(instances.c.sop_instance_uid.in_(list(uids)))
            ).all()


def _header(dataset: Dataset) -> Header:
    return Header(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        attributes=attributes_of(dataset),
        manufacturer="",
        prefix=b"",
    )
