"""Wire models of the search for marks in a picture."""

from pydantic import Field

from app.api.schemas.common import ImageBody, WireModel


class WatermarkBody(WireModel):
    """What the codes of the picture say."""

    p_value: float = Field(
        description="how likely a picture without the mark has at least so many green codes", examples=[1.4e-13]
    )
    threshold: float = Field(description="p-value below which the mark counts as found")
    green: int = Field(description="codes of the picture that the key calls green; half of them without the mark")
    codes: int = Field(description="codes of the picture")


class MetadataBody(WireModel):
    """What the file says of itself. Anybody can write it, and take it off."""

    synthetic: bool = Field(description="whether the file says that a model made it")
    digital_source_type: str | None = Field(default=None, description="IPTC's, from the XMP packet")
    synthetic_data: bool | None = Field(default=None, description="DICOM's SyntheticData (0008,001C)")


class VerificationBody(WireModel):
    """Whether this installation drew the picture, as far as its marks tell."""

    marked: bool | None = Field(
        default=None, description="whether the watermark is in the picture; absent where its pixels were not looked at"
    )
    statement: str
    watermark: WatermarkBody | None = None
    metadata: MetadataBody
    image: ImageBody | None = None
