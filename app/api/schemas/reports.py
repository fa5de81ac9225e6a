"""Wire models of reports and answers."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from app.api.schemas.common import NOTICE, ImageBody, SamplingForm, UsageBody, WireModel
from models.report_text import sections


class ReportForm(SamplingForm):
    """Ask for a report."""

    instruction: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="instead of the canonical instruction"
    )


class AnswerForm(SamplingForm):
    """Ask questions about one radiograph."""

    question: list[Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]] = Field(
        min_length=1, description="repeat for several", examples=[["Is there pneumonia?"]]
    )
    probabilities: bool = Field(default=False, description="give closed questions the probability of yes")


class ReportText(WireModel):
    """A report, and its sections where it has headings."""

    text: str = Field(
        examples=[
            "FINDINGS: AP chest radiograph of a child. The lungs are clear.\nIMPRESSION: Normal chest radiograph."
        ]
    )
    findings: str | None = Field(default=None, examples=["AP chest radiograph of a child. The lungs are clear."])
    impression: str | None = Field(default=None, examples=["Normal chest radiograph."])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A report, split at its FINDINGS and IMPRESSION headings."""
        return cls(text=text, **sections(text))


class ReportBody(WireModel):
    """A draft report."""

    id: str
    object: Literal["report"] = "report"
    created: int
    model: str
    report: ReportText
    image: ImageBody
    finish_reason: Literal["stop", "length"]
    seed: int
    usage: UsageBody
    timings: dict[str, float] = Field(
        description="milliseconds by stage",
        examples=[{"decode": 57.0, "encode": 54.1, "generate": 126.4, "total": 238.0}],
    )
    notice: str = NOTICE


class AnswerItem(WireModel):
    """One question and its answer."""

    question: str
    answer: str
    probability: float | None = Field(
        default=None,
        description="of yes, by the model itself, uncalibrated; only where `probabilities` is set and the question asks"
        " for yes or no",
        examples=[0.93],
    )
    finish_reason: Literal["stop", "length"]
    seed: int
    usage: UsageBody


class AnswersBody(WireModel):
    """Answers in the order of the questions."""

    id: str
    object: Literal["answers"] = "answers"
    created: int
    model: str
    answers: list[AnswerItem]
    image: ImageBody
    timings: dict[str, float] = Field(description="milliseconds by stage")
    notice: str = NOTICE
