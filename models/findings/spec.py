"""Findings as `bundle.json` declares them."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.findings.part import Part

MOST_FINDINGS = 32
ANY = "any"
# Concept identifiers: SNOMED CT 6.2 (SCTID, 6 to 18 digits); RadLex (RID and a number).
_VALUES = {"SCT": re.compile(r"[1-9][0-9]{5,17}"), "RADLEX": re.compile(r"RID[0-9]{1,9}")}
_LINE = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"


class FindingCode(Part):
    """A concept of SNOMED CT or RadLex, by its DICOM coding scheme designator (PS3.16 8), code value and meaning."""

    scheme: Literal["SCT", "RADLEX"]
    value: str
    meaning: Annotated[str, Field(max_length=64, pattern=_LINE)]

    @model_validator(mode="after")
    def _value_is_of_the_scheme(self) -> Self:
        if not _VALUES[self.scheme].fullmatch(self.value):
            raise ValueError(f"code value {self.value[:24]!r} is none of {self.scheme}")
        return self


class FindingSpec(Part):
    """A finding, the question that asks for it, and the two answers in full, as the model was trained to give them.

    A radiograph is abnormal by it where the answer is `abnormal_when`: of "Is this a normal chest radiograph?" "no".
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9 _-]{0,62}[a-z0-9])?$")]
    code: FindingCode
    question: Annotated[str, Field(max_length=300, pattern=_LINE)]
    yes: Annotated[str, Field(max_length=300, pattern=_LINE)]
    no: Annotated[str, Field(max_length=300, pattern=_LINE)]
    abnormal_when: Literal["yes", "no"] = "yes"

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        if self.yes == self.no:
            raise ValueError(f"{self.name}: its two answers are the same")
        return self

    def abnormal(self, probability: float) -> float:
        """The probability that a radiograph is abnormal by this finding, from that of yes."""
        return probability if self.abnormal_when == "yes" else 1.0 - probability


def check_findings(findings: tuple[FindingSpec, ...], abnormal: str | None) -> None:
    """Raises ValueError where two findings share a name or a question, or `abnormal` is the name of none."""
    names = [finding.name for finding in findings]
    for what, values in (("name", names), ("question", [finding.question.casefold() for finding in findings])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"findings: two have the {what} {twice!r}")
    if ANY in names:
        raise ValueError(f"findings: {ANY!r} is no name of a finding")
    if abnormal is not None and abnormal not in names and not (abnormal == ANY and names):
        raise ValueError(f"abnormal: {abnormal!r} is no finding of the bundle")


def abnormality(
    findings: tuple[FindingSpec, ...], abnormal: str | None, probabilities: Mapping[str, float]
) -> float | None:
    """The probability that a radiograph is abnormal, from those of yes by finding; None where the bundle does not say.

    By one finding, or of `any` the highest of all: the least that the probability of one or another can be, however
    they depend on each other.
    """
    if abnormal is None:
        return None
    counted = [finding for finding in findings if abnormal in (ANY, finding.name)]
    return max(finding.abnormal(probabilities[finding.name]) for finding in counted)
