"""How urgent a study is, from the findings of its image."""

from collections.abc import Callable

from app.dicom.probabilities import Abnormal, Code, FindingProbability, Priority
from app.inference.backend import Backend
from app.inference.findings import Findings, findings_of
from app.inference.generation import BACKGROUND, Caller
from app.inference.lifecycle import Lifecycle
from app.settings import StudySettings
from app.store.findings import StoredFindings
from app.store.records import ReadImage
from app.telemetry import metrics
from app.telemetry.timings import Timings

# A step that runs again finds the same but for the last digits of a float.
_DIGITS = 4


async def triage(backend: Backend, image: ReadImage, settings: StudySettings) -> tuple[StoredFindings | None, int]:
    """The findings of a study's image, and the tokens that they took. None where neither the bundle declares any nor a
    priority is to be given.

    Raises as the engine does.
    """
    if not settings.findings:
        return None, 0
    if not backend.bundle.manifest.findings:
        return (_stored(backend, settings, None) if settings.priority_above else None), 0
    found = await findings_of(backend, image.codes, Timings(), Caller(priority=BACKGROUND))
    if found.abnormal is not None:
        metrics.STUDY_ABNORMAL.observe(found.abnormal)
    return _stored(backend, settings, found), found.usage.prompt_tokens + found.usage.completion_tokens


def _stored(backend: Backend, settings: StudySettings, found: Findings | None) -> StoredFindings:
    manifest = backend.bundle.manifest
    abnormal, priority, withheld = None, None, None
    if found is not None and found.abnormal is not None:
        abnormal = Abnormal(round(found.abnormal, _DIGITS), found.abnormal_calibrated)
    if settings.priority_above:
        if abnormal is None:
            withheld = "not_offered"
        elif not (abnormal.calibrated or settings.uncalibrated_priority):
            withheld = "not_calibrated"
        else:
            priority = priority_of(abnormal.probability, settings)
    return StoredFindings(
        algorithm=manifest.name,
        version=manifest.version,
        bundle_sha256=backend.bundle.sha256,
        findings=[
            FindingProbability(
                name=one.spec.name,
                code=Code(**one.spec.code.model_dump()),
                question=one.spec.question,
                probability=round(one.probability, _DIGITS),
                calibrated=one.calibration is not None,
            )
            for one in ([] if found is None else found.findings)
        ],
        abnormal=abnormal,
        priority=priority,
        withheld=withheld,  # type: ignore[arg-type]
    )


def priority_of(abnormal: float, settings: StudySettings) -> Priority | None:
    """The highest priority whose threshold a probability of abnormal is above; `routine` where it is above none, None
    where none is set.
    """
    above = settings.priority_above
    reached: list[Priority] = [priority for priority, threshold in above.items() if abnormal > threshold]
    return reached[-1] if reached else "routine" if above else None


def finding_tokens(lifecycle: Lifecycle, settings: StudySettings, each: int) -> Callable[[], int]:
    """How many tokens are set aside for the findings of a study, `each` for one; 0 while no bundle is loaded."""

    def tokens() -> int:
        backend = lifecycle.backend if settings.findings else None
        return 0 if backend is None else each * len(backend.bundle.manifest.findings)

    return tokens
