"""Wire models of image codes."""

from typing import Literal

from pydantic import Field

from app.api.schemas.common import ImageBody, WireModel


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
