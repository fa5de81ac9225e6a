"""Reading a study: its frontal image is chosen, encoded and reported on.

Each step may run twice, after a kill: UIDs, seeds and times derive from what is recorded, so that it yields the same.
"""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa

from app.concurrency import both_or_cancel
from app.delivery.backoff import backoff_seconds
from app.errors import CxrError, FatalError, Gone, InputError, Overloaded, Unavailable
from app.inference import pipelines
from app.inference.backend import Backend
from app.inference.doubt import doubted_report
from app.inference.generation import BACKGROUND, Caller, Options
from app.inference.lifecycle import Lifecycle
from app.inference.priority import PriorityGate
from app.inference.writing import GeneratedText
from app.ingest.study_tokens import StudyTokens
from app.jobs import selection
from app.jobs.patients import check_one_patient
from app.jobs.same_report import report_key, report_seed
from app.jobs.steps import JobFailed, retry_transient
from app.jobs.triage import triage
from app.security.audit import AuditLog, Kind
from app.settings import StudySettings
from app.store.findings import UNKNOWN, StoredFindings
from app.store.integrity import verify
from app.store.job_states import JobState
from app.store.jobs import Jobs
from app.store.records import HeldInstance, Job, ReadImage, Reason, Run, StoredReport
from app.store.spool import Spool
from app.telemetry import metrics
from app.telemetry.timings import Timings
from models.report_text import sections

T = TypeVar("T")
_POLL_SECONDS = 1.0
# Refusals that say that an image is not a frontal chest radiograph; the others say that it is damaged.
_OTHER_KIND = {
    "wrong_modality", "for_processing", "quality_control_image", "not_chest", "not_frontal", "multi_frame", "no_pixels",
    "too_small", "blank_image",
}  # fmt: skip


class ReportSteps:
    """The steps `encode` and `generate`, in this order."""

    def __init__(
        self,
        settings: StudySettings,
        lifecycle: Lifecycle,
        gate: PriorityGate,
        jobs: Jobs,
        spool: Spool,
        tokens: StudyTokens,
        audit: AuditLog | None = None,
    ) -> None:
        self._study = settings
        self._lifecycle = lifecycle
        self._gate = gate
        self._jobs = jobs
        self._spool = spool
        self._tokens = tokens
        self._audit = audit

    async def encode(self, run: Run) -> bool:
        """Find the first candidate that is a usable frontal radiograph and encode it; False where there is none."""
        job = await self._jobs.get(run.job_id)
        if job.runs == run.number and job.state is JobState.DONE:
            return False  # killed after it had found none, before its checkpoint
        await self._jobs.move(run, JobState.RUNNING)
        if await self._jobs.begin_attempt(run) > self._study.max_attempts:
            raise JobFailed("gave_up", f"Reading it did not come to an end in {self._study.max_attempts} attempts.")
        # Here too, so that waiting for a disk is one attempt.
        return await retry_transient(self._encode, run)

    async def _encode(self, run: Run) -> bool:
        job = await self._jobs.get(run.job_id)
        held = await self._jobs.inputs(job.study_uid)
        check_one_patient(held)
        candidates, skipped = selection.split(held)
        found, refused = None, ""
        for candidate in candidates:
            if found is not None:
                skipped.append(selection.skip(candidate, "not_chosen", "Another frontal image of the study was read."))
                continue
            try:
                found = await self._encode_one(candidate)
            except InputError as error:
                skipped.append(selection.skip(candidate, error.code, error.detail))
                refused = refused or ("" if error.code in _OTHER_KIND else error.code)
        if found is None and refused:
            await self._jobs.update(run, skipped=skipped)
            raise JobFailed(refused, "No image of the study could be read; `skipped` says why for each.")
        if found is None:
            reason = Reason("no_frontal_image", "The study has no usable frontal chest radiograph.")
            await self._jobs.move(run, JobState.DONE, skipped=skipped, reason=reason)
            return False
        await self._jobs.update(run, skipped=skipped, image=found)
        await self._note(Kind.READ, "read an image", job, 1)
        return True

    async def _note(self, kind: Kind, what: str, job: Job, instances: int) -> None:
        if self._audit is not None:
            patients, uids = await self._jobs.patients([job.study_uid]), [job.study_uid]
            self._audit.note(
                kind, "service", what, "ok", studies=uids, patients=patients, instances=instances, job=job.id
            )

    async def _encode_one(self, candidate: HeldInstance) -> ReadImage:
        async def encode(backend: Backend) -> ReadImage:
            try:
                path = await asyncio.to_thread(verify, self._spool, candidate)
            except Gone as error:
                raise JobFailed(error.code, f"An acknowledged image cannot be read. {error.detail}") from error
            image = await pipelines.encode(backend, path, Timings())
            return ReadImage(
                sop_instance_uid=candidate.sop_instance_uid,
                codes=image.codes,
                warnings=image.radiograph.warnings,
                width=image.radiograph.width,
                height=image.radiograph.height,
                sha256=image.radiograph.sha256,
                data_set_sha256=candidate.sha256,
            )

        return await self._with_model(encode)

    async def generate(self, run: Run) -> None:
        """Write the report's text, and find the findings of the image beside it."""
        job = await self._jobs.get(run.job_id)
        image = _image_of(job)

        async def generate(backend: Backend) -> tuple[StoredReport, StoredFindings | None]:
            key = report_key(job, image, backend.bundle.sha256)
            # Not random: a step that runs again writes the same report.
            seed = report_seed(job, image, backend.bundle.sha256)
            options = Options(seed=seed, caller=Caller(priority=BACKGROUND))
            (text, doubt), (found, scored) = await both_or_cancel(
                self._report(backend, image, options), triage(backend, image, self._study)
            )
            doubted = doubt is not None and self._study.doubt_above is not None and doubt > self._study.doubt_above
            used = text.usage.prompt_tokens + text.usage.completion_tokens + scored
            self._tokens.settle(run.job_id, used, run.number)
            named = sections(text.text)
            report = StoredReport(
                key=key,
                text=text.text,
                findings=named["findings"],
                impression=named["impression"],
                finish_reason=text.finish_reason,
                seed=text.seed,
                model=backend.bundle.manifest.label,
                bundle_sha256=backend.bundle.sha256,
                created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                doubt=doubt,
                doubted=doubted,
                review="held" if doubted and self._study.on_doubt == "review" else "none",
            )
            return report, found

        report, found = await self._with_model(generate)
        # What an earlier run had found does not stand beside the new report.
        findings, triage_place = (sa.null(), UNKNOWN) if found is None else (found, found.place)
        await self._jobs.update(run, report=report, findings=findings, triage=triage_place)

    async def _report(self, backend: Backend, image: ReadImage, options: Options) -> tuple[GeneratedText, float | None]:
        """The report, and its doubt where samples are drawn."""
        if not self._study.samples:
            return await pipelines.report_on(backend, image.codes, options), None
        text, agreement = await doubted_report(backend, image.codes, self._study.samples, options)
        metrics.STUDY_DOUBT.observe(agreement.doubt)
        return text, round(agreement.doubt, 4)

    def over(self, run: Run) -> None:
        """Nothing more is read for the run."""
        self._tokens.settle(run.job_id, 0, run.number)

    async def _with_model(self, work: Callable[[Backend], Awaitable[T]]) -> T:
        """Run work that needs the model, once the model is ready and the priority gate has a slot.

        A part that has died takes the process with it; the job stays as it is and goes on after the restart.
        """
        failures = 0
        while True:
            async with self._gate.background():
                try:
                    return await work(self._lifecycle.backend_when_ready())
                except InputError:
                    raise
                except (Unavailable, Overloaded):
                    wait = _POLL_SECONDS
                except FatalError as error:
                    self._lifecycle.note(error)
                    wait = _POLL_SECONDS
                except CxrError as error:
                    failures += 1
                    if failures >= self._study.max_attempts:
                        raise JobFailed(error.code, f"Reading it failed {failures} times in a row.") from error
                    wait = backoff_seconds(failures, 2.0 * self._study.retry_seconds, self._study.max_retry_seconds)
            await asyncio.sleep(wait)


def _image_of(job: Job) -> ReadImage:
    assert job.image is not None
    return job.image
