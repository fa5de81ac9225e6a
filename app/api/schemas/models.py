"""Wire models of OpenAI's list of models."""

from typing import Literal

from pydantic import Field

from app.api.schemas.common import WireModel


class ModelItem(WireModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    max_model_len: int = Field(description="longest prompt and answer together, in tokens")
    max_tokens: int = Field(description="longest answer in words, in tokens; more is capped")


class ModelList(WireModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelItem]
