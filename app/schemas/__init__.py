"""What goes over the wire."""

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """Base of all wire models: a field that is not declared is an error."""

    model_config = ConfigDict(extra="forbid")
