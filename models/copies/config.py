"""What an index of films says about itself: its sizes, the limit, and what it belongs to."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.copies.features import SIDE

# The film collections that are published have fewer.
MOST_FILMS = 2**20

_Similarity = Annotated[float, Field(ge=-1.0, le=1.0)]


class CopiesConfig(BaseModel):
    """`copies/config.json`: an index of `films` training films, for the models with these weights, by their digest.

    `limit` is the similarity that one held-out film in 1,000 exceeds; `held_out` are quantiles of the similarity of the
    `held_out_films`, by their share. The features are of pixels alone; the digest stands for the films: other weights
    may have been trained on others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    films: int = Field(gt=1, le=MOST_FILMS)
    dimensions: int = Field(gt=0, le=SIDE * SIDE)
    limit: _Similarity
    held_out_films: int = Field(gt=0)
    held_out: dict[str, _Similarity] = Field(max_length=100)
