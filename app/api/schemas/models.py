"""Wire models of OpenAI's list of models."""

from typing import Literal

from app.api.schemas.common import WireModel


class ModelItem(WireModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(WireModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelItem]
