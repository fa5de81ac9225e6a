"""The documents of a study's report are written, once for each image and bundle."""

import asyncio
import datetime
from pathlib import Path

import sqlalchemy as sa

from app.dicom.inherited import NotWritable
from app.errors import CxrError, Gone
from app.imaging.headers import Headers
from app.jobs import documents
from app.jobs.same_report import same_report
from app.jobs.steps import JobFailed
from app.security.audit import AuditLog, Kind
from app.settings import StudySettings
from app.store.integrity import verify
from app.store.job_states import JobState
from app.store.jobs import Jobs
from app.store.records import Job, Reason, Run
from app.store.results import Results
from app.store.spool import Spool

# What the step leaves a job in.
_OVER = {JobState.REVIEW, JobState.DELIVERING, JobState.DONE}
_REPLACED = Reason("replaced", "The image was replaced while it was read; the next revision reports on it.")


class Replaced(Exception):
    """The image that was read is not held any more: another state of it is."""


class WrittenMeanwhile(CxrError):
    """Another revision wrote the same report while this one was at it."""


class WriteStep:
    """The step `write`. It may run twice, after a kill, and yields the same documents."""

    def __init__(
        self,
        settings: StudySettings,
        jobs: Jobs,
        results: Results,
        spool: Spool,
        headers: Headers,
        delivers: bool,
        audit: AuditLog | None = None,
        zone: datetime.tzinfo | None = None,
    ) -> None:
        self._study = settings
        self._jobs = jobs
        self._results = results
        self._spool = spool
        self._headers = headers
        self._delivers = delivers
        self._audit = audit
        self._zone = zone

    async def write(self, run: Run) -> None:
        """Write the documents, or leave a report to a person that is held back for one. A revision that read the same
        image as another has its report already.
        """
        while True:
            try:
                return await self._write(run)
            except WrittenMeanwhile:
                continue

    async def _write(self, run: Run) -> None:
        job = await self._jobs.get(run.job_id)
        if job.runs == run.number and job.state in _OVER:
            # Killed after its transaction and before its checkpoint. Another revision may have taken over the documents
            # since, which says nothing about their delivery.
            if job.documents and job.reason is None:
                await self._note(job, len(job.documents))
            return
        report = job.report
        assert report is not None
        others = await self._jobs.written_revisions(job)
        same = same_report(job, others)
        if same is not None:
            reason = Reason("unchanged", f"The report of revision {same.revision} stands.")
            await self._jobs.move(run, JobState.DONE, report=same.report, documents=same.documents, reason=reason)
            return
        if report.review == "held":
            await self._jobs.move(run, JobState.REVIEW)
            return
        try:
            source = await self._source(job)
        except Replaced:
            await self._jobs.move(run, JobState.DONE, reason=_REPLACED)
            return
        previous = [other for other in others if other.revision < job.revision]
        predecessors = await self._results.predecessors(previous[0].documents) if previous else {}
        header = await asyncio.to_thread(self._headers.source, source)
        warnings = job.warnings
        try:
            names, zone = self._study.documents, self._zone
            written = await asyncio.to_thread(
                documents.build, names, report, header, warnings, predecessors, zone, job.findings
            )
        except NotWritable as error:
            raise JobFailed(documents.NOT_WRITABLE, error.detail) from error
        state = JobState.DELIVERING if self._delivers else JobState.DONE

        def record(connection: sa.Connection, uids: list[str]) -> None:
            # In the documents' transaction: a job that is cancelled meanwhile has none, and of two revisions at once
            # the second sees the first.
            if same_report(job, self._jobs.written_revisions_in(connection, job)) is not None:
                raise WrittenMeanwhile("Another revision has written the report.")
            self._jobs.move_in(connection, run, state, documents=uids)

        await self._results.keep(run.job_id, written, record)
        await self._note(job, len(written))

    async def _note(self, job: Job, count: int) -> None:
        if self._audit is not None:
            patients, uids, what = await self._jobs.patients([job.study_uid]), [job.study_uid], "write documents"
            self._audit.note(
                Kind.WRITTEN, "service", what, "ok", studies=uids, patients=patients, instances=count, job=job.id
            )

    async def _source(self, job: Job) -> Path:
        image = job.image
        assert image is not None
        for held in await self._jobs.inputs(job.study_uid):
            if held.sop_instance_uid == image.sop_instance_uid:
                if held.sha256 != (image.data_set_sha256 or held.sha256):
                    raise Replaced
                try:
                    return await asyncio.to_thread(verify, self._spool, held)
                except Gone as error:
                    raise JobFailed(error.code, error.detail) from error
        raise JobFailed("removed", "The image is not held any more.")
