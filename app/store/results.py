"""Documents that the service wrote: instances of origin `result` in the spool."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydicom.dataset import Dataset

from app.dicom.digest import content_digest
from app.dicom.header import Header, attributes_of
from app.dicom.part10 import to_bytes
from app.errors import CxrError
from app.store.database import Database
from app.store.integrity import is_whole, verify
from app.store.rows import instance_row
from app.store.spool import Spool
from app.store.tables import instances


class Results:
    """Keeps and finds documents."""

    def __init__(self, database: Database, spool: Spool) -> None:
        self._database = database
        self._spool = spool

    async def keep(
        self, job_id: str, written: Sequence[Dataset], record: Callable[[sa.Connection, list[str]], None]
    ) -> list[str]:
        """Keep documents durably, those that are held whole already excepted; returns their SOP Instance UIDs.

        `record` is given the UIDs in the same transaction: where it raises, nothing is kept.
        """
        return await asyncio.to_thread(self._keep, job_id, written, record)

    def _keep(
        self, job_id: str, written: Sequence[Dataset], record: Callable[[sa.Connection, list[str]], None]
    ) -> list[str]:
        uids = [str(dataset.SOPInstanceUID) for dataset in written]
        with self._database.reading() as connection:
            found = _rows(connection, uids)
        held = {row.sop_instance_uid for row in found if is_whole(self._spool, row)}
        lost = [row.sop_instance_uid for row in found if row.sop_instance_uid not in held]
        rows: list[dict[str, object]] = []
        files: list[Path] = []
        try:
            for dataset in written:
                if dataset.SOPInstanceUID in held:
                    continue
                data = to_bytes(dataset)
                files.append(self._spool.write(data))
                row = instance_row(_header(dataset), files[-1].name, content_digest(data), len(data))
                rows.append({**row, "origin": "result", "sender": "", "job": job_id})
            with self._database.transaction() as connection:
                now = self._database.now(connection)
                connection.execute(sa.delete(instances).where(instances.c.sop_instance_uid.in_(lost)))
                self._database.insert_new(connection, instances, [{**row, "received": now} for row in rows])
                record(connection, uids)
        except (OSError, sa.exc.SQLAlchemyError, CxrError):
            self._remove_unnamed(files, uids)
            raise
        return uids

    def _remove_unnamed(self, files: Sequence[Path], uids: Sequence[str]) -> None:
        """Remove files that no row names: keeping is repeated. A commit that seemed to fail may have been one."""
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            with self._database.reading() as connection:
                named = {row.file for row in _rows(connection, uids)}
            for file in files:
                if file.name not in named:
                    file.unlink(missing_ok=True)

    async def files(self, uids: Sequence[str]) -> list[Path]:
        """The documents' files, in the order of their UIDs. Raises Gone where one is missing or damaged."""
        rows = await self._database.read(lambda connection: _rows(connection, uids))
        return await asyncio.to_thread(self._verified, {row.sop_instance_uid: row for row in rows}, uids)

    def _verified(self, rows: Mapping[str, sa.Row[Any]], uids: Sequence[str]) -> list[Path]:
        return [verify(self._spool, rows[uid]) for uid in uids]

    async def predecessors(self, uids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Series and SOP Instance UID of documents, by SOP class."""
        rows = await self._database.read(lambda connection: _rows(connection, uids))
        return {row.sop_class_uid: (row.series_uid, row.sop_instance_uid) for row in rows}


def _rows(connection: sa.Connection, uids: Sequence[str]) -> Sequence[sa.Row[Any]]:
    query = sa.select(instances).where(instances.c.sop_instance_uid.in_(list(uids)))
    rows: Sequence[sa.Row[Any]] = connection.execute(query).all()
    return rows


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
