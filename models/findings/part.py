"""The base of what `bundle.json` and `findings.json` say of findings."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a file: frozen, without unknown keys, its numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
