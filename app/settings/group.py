"""What every group of settings is."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of settings: frozen, and unknown names fail."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
