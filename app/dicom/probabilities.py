"""The probabilities of a radiograph's findings and the priority that follows from them, as documents state them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# HL7's request priorities (FHIR R4 `request-priority`), the least urgent first.
Priority = Literal["routine", "urgent", "asap", "stat"]
PRIORITIES: tuple[Priority, ...] = ("routine", "urgent", "asap", "stat")
CALIBRATED = "calibrated on films of which the answer is known"
NOT_CALIBRATED = "not calibrated: how probable the model itself holds it, which may be far from the truth"


@dataclass(frozen=True)
class Code:
    """A concept by its DICOM coding scheme designator, code value and meaning."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class FindingProbability:
    """A finding, the question that the model was asked, and the probability of yes to it, 0 to 1."""

    name: str
    code: Code
    question: str
    probability: float
    calibrated: bool


@dataclass(frozen=True)
class Abnormal:
    """The probability that a radiograph is abnormal, 0 to 1."""

    probability: float
    calibrated: bool


@dataclass(frozen=True)
class Probabilities:
    """The findings of a radiograph in the bundle's order, how probable it is that the radiograph is abnormal, None
    where the bundle does not say by what, and the priority, None where none is given.

    `algorithm` and `version` are the bundle's name and version.
    """

    algorithm: str
    version: str
    findings: Sequence[FindingProbability] = ()
    abnormal: Abnormal | None = None
    priority: Priority | None = None


def calibration_in_words(calibrated: bool) -> str:
    """What a probability is worth, in words."""
    return CALIBRATED if calibrated else NOT_CALIBRATED
