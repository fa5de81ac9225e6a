"""The screen's configuration: sizes, the thresholds that belong to its weights, and what it was trained on."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

FRONTAL = "frontal"
LATERAL = "lateral"
OTHER_RADIOGRAPH = "other_radiograph"
NOT_A_RADIOGRAPH = "not_a_radiograph"
# In the order of the network's outputs.
KINDS = (FRONTAL, LATERAL, OTHER_RADIOGRAPH, NOT_A_RADIOGRAPH)
# Degrees by which an upright film was turned anticlockwise.
TURNS = (0, 90, 180, 270)
# Further outputs, one logit each.
FLAGS = ("mirrored", "inverted_grey", "cut")

_Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Thresholds(_Part):
    """Probabilities to decide by, set on true films of the validation split; the shares are of those films.

    Below `refuse` of `frontal` a picture is refused (at most 0.5 % of the films are), below `doubt` doubted (2 %). At
    `turned` (of all turns but none), `inverted_grey`, `mirrored` and `cut` and above, the picture is said to be so:
    wrongly of at most 0.5 %, 0.5 %, 5 % and 2 %.
    """

    refuse: _Share = 0.5
    doubt: _Share = 0.8
    turned: _Share = 0.5
    inverted_grey: _Share = 0.5
    mirrored: _Share = 0.9
    cut: _Share = 0.9


class TrainingSource(_Part):
    """Where pictures of the training came from; `pictures` 0 stands for drawn ones, without a number."""

    source: str
    kind: str
    pictures: int = Field(ge=0)
    licence: str
    attribution: str


class ScreenConfig(_Part):
    """Side in pixels that pictures are averaged down to, channels by stage, width of the layer before the outputs."""

    side: int = Field(default=96, ge=8, le=512)
    channels: tuple[Annotated[int, Field(gt=0, le=1024)], ...] = Field(default=(16, 32, 64, 112), min_length=2)
    squeezed: int = Field(default=24, gt=0, le=1024)
    hidden: int = Field(default=64, gt=0, le=4096)
    thresholds: Thresholds = Thresholds()
    sources: tuple[TrainingSource, ...] = ()

    @property
    def last_side(self) -> int:
        """Side of the last maps: every stage halves, rounding up."""
        side = self.side
        for _ in self.channels:
            side = -(-side // 2)
        return side
