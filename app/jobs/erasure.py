"""Erases studies and patients: rows, documents, files of the spool, workflows, and what of them the database keeps."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from dbos import DBOSClient

from app.dicom.attributes import whole_of
from app.dicom.header import NotStorable
from app.errors import Conflict, CxrError, NotFound
from app.imaging.headers import Headers
from app.store.database import Database
from app.store.erasure import Erased, Target, end_jobs, erase_apart, erase_study, goes_as_a_whole, studies_of
from app.store.records import Run
from app.store.spool import Spool

log = structlog.get_logger(__name__)

# A workflow ends within a poll of its job's cancellation; that of a node that is gone never does.
_WORKFLOW_SECONDS, _POLL_SECONDS = 10.0, 0.2
_PENDING = "PENDING"
_ATTEMPTS = 3


class Eraser:
    """Removes all that is held of a target; `client` knows the workflows, None where the database has none yet."""

    def __init__(self, database: Database, spool: Spool, headers: Headers, client: DBOSClient | None) -> None:
        self._database = database
        self._spool = spool
        self._headers = headers
        self._client = client

    async def erase(self, target: Target) -> Erased:
        """Erase a target; a study of which a part is to go stays where a job of it goes on, and is among those `left`.

        Raises NotFound where nothing is held of it, OSError.
        """
        erased = Erased()
        try:
            for study in await self._database.read(lambda connection: studies_of(connection, target)):
                try:
                    await self._erase_study(study, target, erased)
                except Conflict:
                    erased.left.add(study)
            await self._database.write(lambda connection: erase_apart(connection, self._spool, target, erased))
            await asyncio.to_thread(self._erase_set_aside, target, erased)
        finally:
            # Also of what was erased before something failed, nothing is to lie about.
            await asyncio.to_thread(self._spool.sync)
            await asyncio.to_thread(self._database.forget_deleted)
        if not erased.anything and not erased.left:
            raise NotFound("Nothing of it is held.")
        return erased

    async def _erase_study(self, study: str, target: Target, erased: Erased) -> None:
        for left in reversed(range(_ATTEMPTS)):
            try:
                await self._try_to_erase(study, target, erased)
                return
            except Conflict:  # an instance has come meanwhile, and opened a job
                whole = await self._database.read(lambda connection: goes_as_a_whole(connection, study, target))
                if not (left and whole):
                    raise

    async def _try_to_erase(self, study: str, target: Target, erased: Erased) -> None:
        runs: list[Run] = []
        if await self._database.read(lambda connection: goes_as_a_whole(connection, study, target)):
            clock = self._database.clock
            runs = await self._database.write(lambda connection: end_jobs(connection, study, clock))
            await asyncio.to_thread(self._end_workflows, runs)
        await self._database.write(lambda connection: erase_study(connection, self._spool, study, target, erased))
        if runs and self._client is not None:
            await asyncio.to_thread(self._client.delete_workflows, _workflows(runs))

    def _end_workflows(self, runs: Sequence[Run]) -> None:
        """Cancel what waits, and let what runs come to its end: DBOS notes the end in rows that are still there."""
        if self._client is None or not runs:
            return
        names = _workflows(runs)
        until = time.monotonic() + _WORKFLOW_SECONDS
        while time.monotonic() < until:
            found = self._client.list_workflows(
                workflow_ids=names, status=[_PENDING], load_input=False, load_output=False
            )
            if not found:
                break
            time.sleep(_POLL_SECONDS)
        self._client.cancel_workflows(names)

    def _erase_set_aside(self, target: Target, erased: Erased) -> None:
        for file in self._spool.set_aside_files():
            try:
                header = self._headers.read(file, self._headers.opening(file))
            except (NotStorable, CxrError, OSError):
                erased.unread += 1
                continue
            patient = whole_of(header.attributes, "00100020")
            if target.patient is not None:
                ours = patient == target.patient
            else:
                ours = (
                    header.study_instance_uid == target.study
                    and target.series in (None, header.series_instance_uid)
                    and target.instance in (None, header.sop_instance_uid)
                )
            if ours:
                Path(file).unlink(missing_ok=True)
                erased.patients.add(patient)
                erased.set_aside += 1


def _workflows(runs: Sequence[Run]) -> list[str]:
    return [name for run in runs for name in (run.read_workflow, run.delivery_workflow)]
