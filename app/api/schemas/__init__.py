"""What goes over the wire."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict, WithJsonSchema


class WireModel(BaseModel):
    """Base of all wire models: a field that is not declared is an error."""

    model_config = ConfigDict(extra="forbid")


# Strict, since a form's text field would pass for bytes.
Upload = Annotated[
    bytes,
    Strict(),
    WithJsonSchema({"type": "string", "contentMediaType": "application/octet-stream"}),
    Field(description="DICOM, PNG (8 or 16 bit) or JPEG, recognised by content"),
]
