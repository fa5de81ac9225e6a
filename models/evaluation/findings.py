"""`cxr calibrate`: the probabilities of a bundle's findings against what a manifest says of its films."""

from collections.abc import Sequence

import numpy as np
import torch

from models.bundle import BundleError
from models.bundle.manifest import weights_digest
from models.bundle.writer import put_file
from models.data.truth import presence
from models.evaluation.subject import Subject
from models.findings.calibration import FINDINGS_FILE, FindingCalibration, FindingsCalibration
from models.findings.spec import FindingSpec
from models.findings.yes_no import YesNo
from models.generate import continue_prompts

_BATCH = 32


def log_odds(subject: Subject, spec: FindingSpec, rows: Sequence[int]) -> np.ndarray:
    """The difference of the log-likelihoods of the finding's two answers, as the service scores them: float64 (N,)."""
    prompts, vocabulary = subject.bundle.prompts, subject.bundle.vocabulary
    answers = YesNo.from_answers(prompts, spec.yes, spec.no)
    found: list[float] = []

    def score(logits: torch.Tensor, step: int) -> torch.Tensor:
        found.extend((logits[:, answers.yes] - logits[:, answers.no]).double().tolist())
        return logits.argmax(-1)

    for begin in range(0, len(rows), _BATCH):
        asked = [
            [*prompts.answer(subject.prompt_codes(row), spec.question), *answers.shared]
            for row in rows[begin : begin + _BATCH]
        ]
        continue_prompts(subject.llm, asked, score, 1, padding=vocabulary.padding)
    return np.array(found)


def known_films(subject: Subject, spec: FindingSpec) -> list[tuple[int, bool]]:
    """The split's frontal films of which it is known whether they have the finding: row, and whether."""
    known: list[tuple[int, bool]] = []
    for row in map(int, subject.rows):
        record = subject.record(row)
        there = presence(record, spec.name, spec.question)
        if record.frontal and there is not None:
            known.append((row, there))
    return known


def calibrate_findings(subject: Subject) -> tuple[FindingsCalibration, dict[str, str]]:
    """The calibration by finding on the split's frontal films, and why of any finding there is none."""
    found: dict[str, FindingCalibration] = {}
    left_out: dict[str, str] = {}
    for spec in subject.bundle.manifest.findings:
        known = known_films(subject, spec)
        scores = log_odds(subject, spec, [row for row, _ in known])
        try:
            found[spec.name] = FindingCalibration.from_scores(
                spec, scores, np.array([is_so for _, is_so in known], bool)
            )
        except ValueError as error:
            left_out[spec.name] = str(error)
    digest = weights_digest(subject.bundle.manifest)
    return FindingsCalibration(weights_sha256=digest, split=subject.split, findings=found), left_out


def write_findings(subject: Subject, calibration: FindingsCalibration) -> None:
    """Put `findings.json` into the bundle. Raises BundleError where the folder cannot be written."""
    try:
        put_file(subject.bundle.path, FINDINGS_FILE, calibration.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise BundleError(f"{subject.bundle.path}: {FINDINGS_FILE} could not be written: {error}") from error
