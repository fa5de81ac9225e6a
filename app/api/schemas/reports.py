"""Wire models of reports and answers."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from app.api.schemas.common import NOTICE, ImageBody, SamplingForm, UsageBody, WireModel
from models.agreement import Agreement
from models.report_text import sections


class ReportForm(SamplingForm):
    """Ask for a report."""

    instruction: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="instead of the canonical instruction"
    )
    samples: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1,
        description="from 2: so many further reports are drawn on the image, and `sentences` and `doubt` say how far"
        " they agree with this one; `usage` counts all of them",
    )
    doubt_above: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        default=None,
        description="with `samples`: text and documents, which have no `doubt`, carry a warning where it is above this",
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


class SentenceBody(WireModel):
    """A sentence of a report, and how many samples say so."""

    section: Literal["findings", "impression"] | None = None
    text: str
    support: float = Field(description="share of the samples that state the same", examples=[0.875])


class ReportBody(WireModel):
    """A draft report."""

    id: str
    object: Literal["report"] = "report"
    created: int
    model: str
    report: ReportText
    image: ImageBody
    sentences: list[SentenceBody] | None = Field(default=None, description="only where `samples` is above 1")
    doubt: float | None = Field(
        default=None,
        description="0 to 1, only where `samples` is above 1: one minus the mean support of the sentences that state a"
        " finding that is known, or of all where none does",
        examples=[0.125],
    )
    samples: int | None = Field(default=None, description="with how many further reports this one was compared")
    finish_reason: Literal["stop", "length"]
    seed: int
    usage: UsageBody
    timings: dict[str, float] = Field(
        description="milliseconds by stage",
        examples=[{"decode": 57.0, "encode": 54.1, "generate": 126.4, "total": 238.0}],
    )
    notice: str = NOTICE

    @staticmethod
    def agreement(found: Agreement | None) -> dict[str, Any]:
        """The fields that say how far samples agree; none where there were none."""
        if found is None:
            return {}
        sentences = [
            SentenceBody(section=sentence.section, text=sentence.text, support=round(sentence.support, 4))
            for sentence in found.sentences
        ]
        return {"sentences": sentences, "doubt": round(found.doubt, 4), "samples": found.samples}


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
