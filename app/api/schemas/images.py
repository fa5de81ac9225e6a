"""Wire models of the OpenAI Images API, and extensions to it: seed, temperature, guidance, `best_of`, `dicom`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.api.schemas.common import (
    NOTICE,
    BestOf,
    GuidanceScale,
    NearestTrainingImage,
    ReadingBody,
    Seed,
    Temperature,
    TopP,
    Upload,
    WireModel,
)
from app.api.schemas.neutral import ANYTHING, neutral


def NullIs(default: object) -> BeforeValidator:  # noqa: N802  it stands for a type
    """OpenAI's schema allows null for each field: it is the default."""
    return BeforeValidator(lambda value: default if value is None else value)


OrOne = Annotated[int, NullIs(1)]
OrAuto = Annotated[str, NullIs("auto")]
OutputFormat = Literal["png", "jpeg", "webp", "dicom"]


class DrawRequest(WireModel):
    """Ask for radiographs. Fields of OpenAI's that change nothing here are accepted where they say `auto`."""

    prompt: Annotated[str, Field(min_length=1, examples=["AP chest radiograph of a child. Viral pneumonia."])]
    model: str | None = None
    n: OrOne = Field(default=1, ge=1, description="number of radiographs")
    size: OrAuto = Field(default="auto", description="`auto` or the bundle's size, such as 256x256")
    response_format: Annotated[Literal["b64_json", "url"], NullIs("b64_json")] = Field(
        default="b64_json", description="`url`: a signed URL for an hour, which needs no key; a stream has none"
    )
    output_format: Annotated[OutputFormat, NullIs("png")] = "png"
    quality: Annotated[Any, neutral("auto", "standard", "medium")] = None
    background: Annotated[Any, neutral("auto", "opaque")] = None
    user: str | None = None
    stream: Annotated[bool, NullIs(False)] = False
    partial_images: Annotated[int, NullIs(0)] = Field(
        default=0, ge=0, le=3, description="with `stream`: unfinished images of the drawing; fewer under load"
    )
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None
    guidance_scale: GuidanceScale | None = None
    best_of: BestOf | None = None

    complexity: Annotated[Any, neutral(ANYTHING)] = None
    frame_count: Annotated[Any, neutral(1)] = None
    frame_duration_ms: Annotated[Any, neutral(ANYTHING)] = None
    moderation: Annotated[Any, neutral("auto", "low")] = None
    output_compression: Annotated[Any, neutral(ANYTHING)] = None
    safety_identifier: Annotated[Any, neutral(ANYTHING)] = None
    style: Annotated[Any, neutral("natural")] = None
    svg: Annotated[Any, neutral()] = None


class RedrawForm(DrawRequest):
    """Draw the lower part of a radiograph anew."""

    image: Upload
    input_fidelity: Annotated[Any, neutral(ANYTHING)] = None
    mask: Annotated[Any, neutral()] = None
    markup: Annotated[Any, neutral()] = None
    keep_rows: int = Field(
        default=8, ge=0, description="rows of codes that are kept from the top; fewer than the grid has (extension)"
    )


def _absent(value: object) -> bool:
    return value is None


class DrawnImage(WireModel):
    """One radiograph."""

    b64_json: str | None = Field(default=None, exclude_if=_absent)
    url: str | None = Field(default=None, exclude_if=_absent, description="with `response_format` `url`")
    seed: int = Field(description="draws the same alone, without `best_of`")
    reading: ReadingBody | None = Field(default=None, exclude_if=_absent, description="with `best_of` above 1")
    nearest: NearestTrainingImage | None = Field(
        default=None, exclude_if=_absent, description="where the bundle has an index of its training images"
    )


class InputTokens(WireModel):
    """Prompt tokens by kind."""

    image_tokens: int
    text_tokens: int


class DrawUsage(WireModel):
    """Tokens in and out, as OpenAI counts them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokens


class DrawBody(WireModel):
    """Synthetic radiographs."""

    created: int
    data: list[DrawnImage]
    output_format: OutputFormat
    size: str
    usage: DrawUsage
    model: str
    timings: dict[str, float] = Field(description="milliseconds by stage")
    notice: str = NOTICE
