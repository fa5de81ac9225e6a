"""The findings of a study's image as a job keeps them, and where they put it in the order by priority."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from app.dicom.probabilities import PRIORITIES, Abnormal, Code, FindingProbability, Probabilities
from app.store.record import Record, known

# Where a job stands of which no probability is known: below those that are rather abnormal than not, above those that
# are rather normal. What nobody has looked at never lies below what was found normal.
UNKNOWN = 0.5
_WITHHELD = {
    "not_calibrated": "No priority is given: the probability that the radiograph is abnormal is not calibrated.",
    "not_offered": "No priority is given: the model does not say how probable it is that the radiograph is abnormal.",
}
_UNSURE = "The priority follows from a probability that is not calibrated."


@dataclass(frozen=True)
class StoredFindings(Record, Probabilities):
    """What the bundle with this digest found, and why no priority was given though one was asked for."""

    bundle_sha256: str = ""
    withheld: Literal["not_calibrated", "not_offered"] | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As `Record.from_json`."""
        findings = [
            FindingProbability(**{**known(FindingProbability, item), "code": Code(**known(Code, item["code"]))})
            for item in value.get("findings") or ()
        ]
        abnormal = value.get("abnormal")
        found = None if abnormal is None else Abnormal(**known(Abnormal, abnormal))
        return cls(**{**known(cls, value), "findings": findings, "abnormal": found})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said of the priority, or of there being none."""
        if self.withheld is not None:
            return (_WITHHELD[self.withheld],)
        unsure = self.priority is not None and self.abnormal is not None and not self.abnormal.calibrated
        return (_UNSURE,) if unsure else ()

    @property
    def place(self) -> float:
        """Where the job stands in the order by priority, the largest first: by its priority, then by how probable it is
        that the radiograph is abnormal.
        """
        urgency = 0 if self.priority is None else PRIORITIES.index(self.priority)
        # Twice: a probability of 1 that is routine stays below one of 0.2 that is urgent.
        return 2.0 * urgency + (UNKNOWN if self.abnormal is None else self.abnormal.probability)
