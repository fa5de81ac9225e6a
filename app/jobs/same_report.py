"""When two revisions of a study have one report: the same bundle has read the same image."""

import hashlib
from collections.abc import Sequence

from app.store.records import Job, ReadImage


def report_key(job: Job, image: ReadImage, bundle_sha256: str) -> str:
    """Idempotency key of a report: study, revision, image as it is now, and bundle.

    An image that was replaced may come back as it was: its report is then another one, which succeeds the one between.
    """
    return _digest(job.study_uid, str(job.revision), image.sop_instance_uid, image.data_set_sha256, bundle_sha256)


def report_seed(job: Job, image: ReadImage, bundle_sha256: str) -> int:
    """The seed of a report, so that the same bundle says the same of the same image."""
    digest = _digest(job.study_uid, image.sop_instance_uid, image.data_set_sha256, bundle_sha256)
    return int(digest[:8], 16) % 2**31


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def reads_the_same(other: Job, job: Job) -> bool:
    """Whether another revision has a report of the same bundle on the same image, as it is now."""
    if other.report is None or job.report is None or other.report.bundle_sha256 != job.report.bundle_sha256:
        return False
    one, two = other.image, job.image
    if one is None or two is None:
        return False
    # A release before knew the file alone, which another File Meta Information makes another.
    same = two.data_set_sha256 == one.data_set_sha256 if one.data_set_sha256 else two.sha256 == one.sha256
    return same and one.sop_instance_uid == two.sop_instance_uid


def same_report(job: Job, written: Sequence[Job]) -> Job | None:
    """The revision whose report is this one's, too, of those whose documents are written, latest first.

    Of those before, the latest or none: what was replaced in between is not to be the newest document of the study.
    """
    later = [other for other in written if other.revision > job.revision]
    before = [other for other in written if other.revision < job.revision]
    return next((other for other in (*later, *before[:1]) if reads_the_same(other, job)), None)
