"""Reading a study: its frontal image is chosen, encoded and reported on, and the documents are written.

Each step may run twice, after a kill: UIDs, seeds and times derive from what is recorded, so that it yields the same.
"""

import asyncio
import datetime
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from app.errors import Conflict, CxrError, FatalError, InputError, Overloaded, Unavailable
from app.inference import pipelines
from app.inference.backend import Services
from app.inference.generation import BACKGROUND, Caller, Options
from app.inference.lifecycle import Lifecycle
from app.inference.priority import Share
from app.jobs import documents, selection
from app.jobs.steps import JobFailed, patiently
from app.settings import StudySettings
from app.store.jobs import CANCELLED, DELIVERING, DONE, RUNNING, Job, Jobs
from app.store.results import Results
from app.store.spool import Spool
from app.telemetry.timings import Timings
from models.report_text import sections

T = TypeVar("T")
_POLL_SECONDS = 1.0
# Refusals that say that an image is none of ours; the others say that it is damaged.
_OTHER_KIND = {"wrong_modality", "not_chest", "not_frontal", "multi_frame", "no_pixels", "too_small", "blank_image"}


class Reader:
    """The steps `encode`, `generate` and `write`, in this order."""

    def __init__(
        self,
        settings: StudySettings,
        lifecycle: Lifecycle,
        share: Share,
        jobs: Jobs,
        results: Results,
        spool: Spool,
        delivers: bool,
    ) -> None:
        self._study = settings
        self._lifecycle = lifecycle
        self._jobs = jobs
        self._results = results
        self._spool = spool
        self._delivers = delivers
        self._share = share

    async def _job(self, job_id: str) -> Job:
        return await asyncio.to_thread(self._jobs.get, job_id)

    async def encode(self, job_id: str) -> bool:
        """Find the first candidate that is a usable frontal radiograph and encode it; False where there is none."""
        await asyncio.to_thread(self._jobs.move, job_id, RUNNING)
        if await asyncio.to_thread(self._jobs.begin_attempt, job_id) > self._study.max_attempts:
            raise JobFailed("gave_up", f"Reading it did not come to an end in {self._study.max_attempts} attempts.")
        # Here too, so that waiting for a disk is one attempt.
        return await patiently(self._encode, job_id)

    async def _encode(self, job_id: str) -> bool:
        job = await self._job(job_id)
        candidates, skipped = selection.split(await asyncio.to_thread(self._jobs.inputs, job.study_uid))
        found, refused = None, ""
        for row in candidates:
            if found is not None:
                skipped.append(selection.skip(row, "not_chosen", "Another frontal image of the study was read."))
                continue
            try:
                found = await self._encode_one(row)
            except InputError as error:
                skipped.append(selection.skip(row, error.code, error.detail))
                refused = refused or ("" if error.code in _OTHER_KIND else error.code)
        if found is None and refused:
            await asyncio.to_thread(self._jobs.set, job_id, skipped=skipped)
            raise JobFailed(refused, "No image of the study could be read; `skipped` says why for each.")
        if found is None:
            reason = {"code": "no_frontal_image", "detail": "The study has no usable frontal chest radiograph."}
            await asyncio.to_thread(self._jobs.move, job_id, DONE, skipped=skipped, reason=reason)
            return False
        await asyncio.to_thread(self._jobs.set, job_id, skipped=skipped, image=found)
        return True

    async def _encode_one(self, row: dict[str, Any]) -> dict[str, Any]:
        async def encode(services: Services) -> dict[str, Any]:
            data = await asyncio.to_thread(self._spool.path(row["file"]).read_bytes)
            reading = await pipelines.read(services, data, Timings())
            return {
                "sop_instance_uid": row["sop_instance_uid"],
                "codes": list(reading.codes),
                "warnings": list(reading.radiograph.warnings),
                "width": reading.radiograph.width,
                "height": reading.radiograph.height,
                "sha256": reading.radiograph.sha256,
            }

        return await self._with_model(encode)

    async def generate(self, job_id: str) -> None:
        """Write the report's text. Raises Conflict where the job was cancelled."""
        job = await self._job(job_id)
        if job.state == CANCELLED:
            raise Conflict("The job was cancelled.")
        assert job.image is not None
        codes: Sequence[int] = job.image["codes"]

        async def generate(services: Services) -> dict[str, Any]:
            key = _key(job, services.bundle.sha256)
            # The seed follows from the key: a step that runs again writes the same report.
            options = Options(seed=int(key[:8], 16) % 2**31, caller=Caller(priority=BACKGROUND))
            text = await pipelines.report_on(services, codes, options)
            return {
                "key": key,
                "text": text.text,
                **sections(text.text),
                "finish_reason": text.finish_reason,
                "seed": text.seed,
                "model": services.bundle.manifest.label,
                "bundle_sha256": services.bundle.sha256,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            }

        report = await self._with_model(generate)
        await asyncio.to_thread(self._jobs.set, job_id, report=report)

    async def write(self, job_id: str) -> None:
        """Write the documents. A revision that read the same image as an earlier one has its report already."""
        job = await self._job(job_id)
        assert job.report is not None
        earlier = await asyncio.to_thread(self._jobs.earlier, job)
        same = next((other for other in earlier if other.report and other.report["key"] == job.report["key"]), None)
        if same is not None:
            reason = {"code": "unchanged", "detail": f"The report of revision {same.revision} stands."}
            await asyncio.to_thread(
                self._jobs.move, job_id, DONE, report=same.report, documents=same.documents, reason=reason
            )
            return
        source = await asyncio.to_thread(self._source, job)
        predecessors = await asyncio.to_thread(self._results.predecessors, earlier[0].documents) if earlier else {}
        written = await asyncio.to_thread(documents.build, self._study.documents, job.report, source, predecessors)
        uids = await asyncio.to_thread(self._results.keep, job_id, written)
        state = DELIVERING if self._delivers else DONE
        await asyncio.to_thread(self._jobs.move, job_id, state, documents=uids)

    def _source(self, job: Job) -> Path:
        assert job.image is not None
        uid = job.image["sop_instance_uid"]
        for row in self._jobs.inputs(job.study_uid):
            if row["sop_instance_uid"] == uid and row["file"] is not None:
                return self._spool.path(row["file"])
        raise JobFailed("removed", "The retention time of the image's pixel data is over.")

    async def _with_model(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Run work that needs the model, as soon as it is ready and not too many studies use it.

        A part that has died takes the process with it; the job stays as it is and goes on after the restart.
        """
        failures = 0
        while True:
            async with self._share.background():
                try:
                    return await work(self._lifecycle.services_when_ready())
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
                        raise JobFailed(error.code, "Reading it failed again and again.") from error
                    wait = min(self._study.retry_seconds * 2.0**failures, self._study.max_retry_seconds)
            await asyncio.sleep(wait)


def _key(job: Job, bundle_sha256: str) -> str:
    """Idempotency key of a report: study, image and bundle."""
    assert job.image is not None
    parts = (job.study_uid, job.image["sop_instance_uid"], bundle_sha256)
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
