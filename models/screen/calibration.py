"""`calibration.json` of a bundle: where its own films lie, by the measures of `likeness`."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.screen.likeness import Likeness

CALIBRATION_FILE = "calibration.json"
# Of true films, so many in a hundred lie outside of one bound.
_TAIL = 0.25
FEWEST = 50


class Calibration(BaseModel):
    """Bounds of every measure, found on `films` true frontal radiographs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    films: int = Field(gt=0)
    bounds: dict[str, tuple[float, float]]

    @classmethod
    def from_films(cls, films: Sequence[Likeness]) -> Self:
        """Quantiles of films that are known to be frontal chest radiographs. Raises ValueError for too few of them."""
        if len(films) < FEWEST:
            raise ValueError(f"{len(films)} films are too few: a calibration needs {FEWEST}")
        bounds = {}
        for name in films[0].values():
            found = [film.values()[name] for film in films]
            low, high = np.percentile(found, [_TAIL, 100 - _TAIL])
            # Beyond the last films seen there are others: an eighth of the spread is left to them.
            room = (high - low) / 8
            bounds[name] = (max(0.0, float(low - room)), float(high + room))
        return cls(films=len(films), bounds=bounds)

    def outside(self, likeness: Likeness) -> list[str]:
        """Names of the measures by which a picture is unlike the films."""
        values = likeness.values()
        return [name for name, (low, high) in self.bounds.items() if not low <= values[name] <= high]
