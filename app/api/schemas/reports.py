"""Wire models of reports, answers and image tokens."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas import Upload, WireModel

NOTICE = "Draft by a research model. Not a medical device; not for clinical use."

Temperature = Annotated[float, Field(ge=0.0, le=2.0, description="0 takes the likeliest token")]
TopP = Annotated[float, Field(gt=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="the same seed alone gives the same output")]


class ImageForm(WireModel):
    """An uploaded radiograph."""

    image: Upload


class SamplingForm(ImageForm):
    """An uploaded radiograph and how to sample the text about it."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Seed | None = None


class ReportForm(SamplingForm):
    """Ask for a report."""

    instruction: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="instead of the canonical instruction"
    )


class AnswerForm(SamplingForm):
    """Ask questions about one radiograph."""

    question: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1, description="repeat for several", examples=[["Is there pneumonia?"]]
    )


class UsageBody(WireModel):
    """Tokens in and out."""

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int


class ImageBody(WireModel):
    """The image that was read."""

    sha256: str = Field(description="of the uploaded bytes")
    source: Literal["dicom", "png", "jpeg"]
    width: int
    height: int
    view: str | None = None
    sop_instance_uid: str | None = None
    warnings: list[str]


class ReportText(WireModel):
    """A report, and its sections where it has headings."""

    text: str = Field(
        examples=[
            "FINDINGS: AP chest radiograph of a child. The lungs are clear.\nIMPRESSION: Normal chest radiograph."
        ]
    )
    findings: str | None = Field(default=None, examples=["AP chest radiograph of a child. The lungs are clear."])
    impression: str | None = Field(default=None, examples=["Normal chest radiograph."])


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


class TokensBody(WireModel):
    """A radiograph's codes, row by row over the grid."""

    tokens: list[int]
    grid: tuple[int, int]
    codebook_size: int
    image: ImageBody


class PixelsRequest(WireModel):
    """Codes to draw."""

    tokens: list[int] = Field(description="one per grid cell, row by row", examples=[[0] * 256])
    output_format: Literal["png", "jpeg", "webp", "dicom"] = "png"
