"""Wire models of the OpenAI Images API, and what it leaves to extensions: seed, temperature, top_p, `dicom`."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas.common import NOTICE, Seed, Temperature, TopP, Upload, WireModel

OutputFormat = Literal["png", "jpeg", "webp", "dicom"]


class DrawRequest(WireModel):
    """Ask for radiographs. Fields of OpenAI's that change nothing here are accepted where they say `auto`."""

    prompt: Annotated[str, Field(min_length=1, examples=["AP chest radiograph of a child. Viral pneumonia."])]
    model: str | None = None
    n: int = Field(default=1, ge=1, description="number of radiographs")
    size: str = Field(default="auto", description="`auto` or the bundle's size, such as 256x256")
    response_format: Literal["b64_json"] = "b64_json"
    output_format: OutputFormat = "png"
    quality: Literal["auto"] = "auto"
    background: Literal["auto", "opaque"] = "auto"
    user: str | None = None
    stream: bool = False
    partial_images: int = Field(
        default=0, ge=0, le=3, description="with `stream`: unfinished images of the drawing; fewer under load"
    )
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None


class RedrawForm(DrawRequest):
    """Draw the lower part of a radiograph anew."""

    image: Upload
    keep_rows: int = Field(
        default=8, ge=0, description="rows of codes that are kept from the top; fewer than the grid has (extension)"
    )


class DrawnImage(WireModel):
    """One radiograph."""

    b64_json: str
    seed: int


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
