"""Wire models of findings."""

from typing import Literal, Self

from pydantic import Field

from app.api.schemas.common import NOTICE, ImageBody, ScreenedForm, UsageBody, WireModel
from app.inference.findings import Finding


class FindingsForm(ScreenedForm):
    """Ask for the findings of one radiograph."""


class FindingCodeBody(WireModel):
    """A concept of SNOMED CT (`SCT`) or RadLex (`RADLEX`), by DICOM's coding scheme designator."""

    scheme: Literal["SCT", "RADLEX"]
    value: str = Field(examples=["233604007"])
    meaning: str = Field(examples=["Pneumonia"])


class OperatingPointBody(WireModel):
    """The finding counts as there from a probability of `threshold` on, with these figures on the films known."""

    threshold: float
    sensitivity: float
    specificity: float


OperatingPointName = Literal["youden", "sensitivity_95", "specificity_95"]


class FindingItem(WireModel):
    """A finding that the bundle declares."""

    name: str = Field(examples=["pneumonia"])
    code: FindingCodeBody
    question: str = Field(description="what the model was asked", examples=["Is there pneumonia?"])
    probability: float = Field(description="of yes to the question, that is of the finding", examples=[0.93])
    calibrated: bool = Field(description="whether the probability is calibrated on known films; else the model's own")
    operating_points: dict[OperatingPointName, OperatingPointBody] | None = Field(
        default=None, description="where to cut the probability; only of a calibrated finding"
    )

    @classmethod
    def from_finding(cls, finding: Finding) -> Self:
        """A finding of a radiograph."""
        spec = finding.spec
        code = FindingCodeBody(**spec.code.model_dump())
        points = None if finding.calibration is None else finding.calibration.operating_points.model_dump()
        return cls(
            name=spec.name,
            code=code,
            question=spec.question,
            probability=finding.probability,
            calibrated=finding.calibration is not None,
            operating_points=points,
        )


class AbnormalBody(WireModel):
    """Whether the radiograph is abnormal."""

    probability: float = Field(
        description="by the finding that the bundle names for it, or the highest of all findings", examples=[0.94]
    )
    calibrated: bool = Field(description="whether the findings that it is by are calibrated; else the model's own")


class FindingsBody(WireModel):
    """The findings of one radiograph, in the bundle's order."""

    id: str
    object: Literal["findings"] = "findings"
    created: int
    model: str
    findings: list[FindingItem]
    abnormal: AbnormalBody | None = Field(default=None, description="only where the bundle says what counts as such")
    calibrated: bool = Field(description="whether the probabilities of all findings are calibrated")
    image: ImageBody
    usage: UsageBody
    timings: dict[str, float] = Field(description="milliseconds by stage")
    notice: str = NOTICE
