"""The findings that a bundle declares, of one radiograph, with a probability each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from app.concurrency import gather_or_cancel
from app.engine import Sampling
from app.errors import InvalidRequest
from app.inference.backend import Backend, EncodedImage
from app.inference.generation import Caller, Options, Usage
from app.inference.pipelines import encode
from app.inference.writing import generate_text
from app.telemetry.timings import Timings
from models.findings.calibration import FindingCalibration
from models.findings.spec import ANY, FindingSpec, abnormality
from models.findings.yes_no import YesNo, probability_of_yes

# Of the token behind the shared beginning nothing is used but how likely the two answers were there.
_ONE = Sampling(temperature=0.0, top_p=1.0, max_tokens=1, seed=0)


@dataclass(frozen=True)
class Finding:
    """A declared finding and the probability of yes to its question, by its `calibration` where it has one."""

    spec: FindingSpec
    probability: float
    calibration: FindingCalibration | None = None


@dataclass(frozen=True)
class Findings:
    """All declared findings of a radiograph in the bundle's order, the probability that it is abnormal where the bundle
    says by what, the tokens of all passes, and the name of the finding that says it, or `any`.
    """

    findings: tuple[Finding, ...]
    abnormal: float | None
    usage: Usage
    abnormal_by: str | None = None

    @property
    def calibrated(self) -> bool:
        """Whether the probabilities of all findings are calibrated."""
        return all(finding.calibration is not None for finding in self.findings)

    @property
    def abnormal_calibrated(self) -> bool:
        """Whether the probability of abnormal is: of `any`, where all are."""
        counted = [finding for finding in self.findings if self.abnormal_by in (ANY, finding.spec.name)]
        return bool(counted) and all(finding.calibration is not None for finding in counted)


def check_declared(backend: Backend) -> None:
    """Raises InvalidRequest where the bundle declares no findings."""
    if not backend.bundle.manifest.findings:
        detail = f"The model {backend.bundle.manifest.label} declares no findings. Ask it questions at /v1/answers."
        raise InvalidRequest(detail, code="findings_not_offered")


async def findings(backend: Backend, data: bytes, timings: Timings, caller: Caller) -> tuple[EncodedImage, Findings]:
    """The findings of a radiograph, which is encoded once; every question is one pass of the engine, all at once.

    Raises as `pipelines.encode` does, RateLimited, and as the engine does.
    """
    check_declared(backend)
    image = await encode(backend, data, timings, caller)
    return image, await findings_of(backend, image.codes, timings, caller)


async def findings_of(backend: Backend, codes: Sequence[int], timings: Timings, caller: Caller) -> Findings:
    """The findings of a radiograph that is encoded already. Raises as `findings`."""
    check_declared(backend)
    manifest = backend.bundle.manifest
    with timings.stage("score"):
        scored = await gather_or_cancel(_score(backend, codes, spec, timings, caller) for spec in manifest.findings)
    found = tuple(finding for finding, _ in scored)
    usage = reduce(add, (usage for _, usage in scored))
    by_name = {finding.spec.name: finding.probability for finding in found}
    return Findings(found, abnormality(manifest.findings, manifest.abnormal, by_name), usage, manifest.abnormal)


async def _score(
    backend: Backend, codes: Sequence[int], spec: FindingSpec, timings: Timings, caller: Caller
) -> tuple[Finding, Usage]:
    """A finding, and the tokens of its pass."""
    prompts = backend.bundle.prompts
    answers = YesNo.from_answers(prompts, spec.yes, spec.no)
    prompt = [*prompts.answer(codes, spec.question), *answers.shared]
    given = await generate_text(backend, prompt, _ONE, Options(caller=caller), timings, scored=answers.ids)
    yes, no = given.log_likelihoods
    known = backend.bundle.findings_calibration
    calibration = None if known is None else known.findings.get(spec.name)
    if calibration is None:
        return Finding(spec, probability_of_yes(yes, no)), given.usage
    log_odds = 0.0 if yes == no else yes - no
    return Finding(spec, calibration.probability(log_odds), calibration), given.usage
