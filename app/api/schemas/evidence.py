"""Wire models of evidence."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.schemas.common import NOTICE, ImageBody, ScreenedForm, UsageBody, WireModel

_Sentence = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class EvidenceForm(ScreenedForm):
    """Ask where in one radiograph a statement, or the answer to a question, comes from: exactly one of the two."""

    statement: _Sentence | None = Field(
        default=None, description="of a report; scored as the report's text, behind `context`", examples=["Pneumonia."]
    )
    context: str | None = Field(
        default=None,
        description="what the report says before the statement; it is read, not scored; unset: nothing",
        examples=["FINDINGS: AP chest radiograph of a child."],
    )
    question: _Sentence | None = Field(
        default=None,
        description="that asks for yes or no; the map is of the answer that the model gives",
        examples=["Is there pneumonia?"],
    )


class ReplacedBody(WireModel):
    """What was replaced by what, one region after another."""

    regions: int = Field(description="how many, which cover the image without overlap", examples=[36])
    rows: int = Field(description="of codes in a region, at most", examples=[3])
    columns: int = Field(description="of codes in a region, at most", examples=[3])
    by: Literal["commonest", "grey", "predicted"] = Field(
        description="the code of which the image has most; the codes of a mid-grey image; those that the model finds"
        " likeliest there"
    )


class EvidenceBody(WireModel):
    """How far a text depends on each part of the image: a map of the model's dependence, no finding."""

    id: str
    object: Literal["evidence"] = "evidence"
    created: int
    model: str
    statement: str | None = Field(default=None, description="where one was sent")
    question: str | None = Field(default=None, description="where one was sent")
    answer: str | None = Field(default=None, description="what the model answers, of which the map is")
    log_probability: float = Field(
        description="natural logarithm of the probability of the statement or the answer, by the whole image",
        examples=[-0.105],
    )
    map: list[list[float]] = Field(
        description="rows of columns of the image's codes: how much less the log-probability is without the region, in"
        " nats; below 0 it is more",
        examples=[[[0.02, 0.02], [0.61, 0.61]]],
    )
    replaced: ReplacedBody
    image: ImageBody
    usage: UsageBody
    timings: dict[str, float] = Field(description="milliseconds by stage")
    notice: str = NOTICE
