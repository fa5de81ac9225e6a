"""`calibration.json` of a bundle: where its own films lie, by the measures of `likeness` and `layout`."""

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.screen.layout import Layout, distances_of_films
from models.screen.likeness import Likeness

CALIBRATION_FILE = "calibration.json"
FEWEST = 50
# Of true films, one in a hundred lies farther away than `doubt`. Beyond the last films seen there are others: a picture
# is refused only where it lies a quarter farther still.
_DOUBT = 0.99
_ROOM = 1.25
# Of films with borders, tilts and of adults, on a calibration on children, none that a screen doubted lay beyond; of
# nine strangers that it doubted, eight did.
_REMOTE = 6.0
_MIRRORED = 0.95
# The interquartile range of a normal distribution in standard deviations.
_QUARTILES = 1.349
_LEAST_ERROR = 1e-5


class Spread(BaseModel):
    """Median of a measure over the films, and its spread: the interquartile range as a standard deviation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: float
    spread: float = Field(gt=0)


class Calibration(BaseModel):
    """What is usual of `films` true frontal radiographs to the models with these weights, by their digest.

    `doubt` and `refuse` are distances, as `distance` gives them. `mirrored` is how much likelier the mirror image of a
    film may be, as a difference of mean log-likelihoods: that of one film in twenty is more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = 2
    weights_sha256: str
    films: int = Field(gt=0)
    measures: dict[str, Spread]
    layout: Layout
    doubt: float = Field(gt=0)
    refuse: float = Field(gt=0)
    mirrored: float

    @classmethod
    def from_films(
        cls, films: np.ndarray, likenesses: Sequence[Likeness], mirrored: Sequence[float], weights_sha256: str
    ) -> Self:
        """What is usual of films, uint8 (N, size, size), known to be upright frontal chest radiographs. `mirrored` are
        the mean log-likelihoods of their mirror images. Raises ValueError for too few of them.
        """
        if len(films) < FEWEST:
            raise ValueError(f"{len(films)} films are too few: a calibration needs {FEWEST}")
        rows = [_values(*of) for of in zip(likenesses, distances_of_films(films), strict=True)]
        measures = {name: _spread([row[name] for row in rows]) for name in rows[0]}
        doubt = float(np.quantile([_squares(row, measures) for row in rows], _DOUBT))
        likelier = [turned - film.log_likelihood for turned, film in zip(mirrored, likenesses, strict=True)]
        return cls(
            weights_sha256=weights_sha256,
            films=len(films),
            measures=measures,
            layout=Layout.of_films(films),
            doubt=doubt,
            refuse=doubt * _ROOM,
            mirrored=float(np.quantile(likelier, _MIRRORED)),
        )

    @property
    def remote(self) -> float:
        """The distance beyond which a picture is no film at all, of whatever hospital or age."""
        return self.doubt * _REMOTE

    def distance(self, pixels: np.ndarray, likeness: Likeness) -> float:
        """How far a picture, uint8 (size, size), lies from the films: the sum of the squares of its measures, each in
        spreads from the films' median.
        """
        values = _values(likeness, float(self.layout.distances(pixels[None])[0]))
        return _squares(values, self.measures)


def _values(likeness: Likeness, layout: float) -> dict[str, float]:
    """Measures by name, errors and distances as logarithms: films then lie evenly around their median."""
    return {
        "low_band_error": math.log(likeness.low_band_error + _LEAST_ERROR),
        "squared_error": math.log(likeness.squared_error + 1.0),
        "distinct_codes": likeness.distinct_codes,
        "log_likelihood": likeness.log_likelihood,
        "layout": math.log(layout),
    }


def _spread(values: Sequence[float]) -> Spread:
    low, centre, high = (float(value) for value in np.percentile(values, [25, 50, 75]))
    return Spread(centre=centre, spread=max((high - low) / _QUARTILES, 1e-6))


def _squares(values: dict[str, float], measures: dict[str, Spread]) -> float:
    return sum(((values[name] - of.centre) / of.spread) ** 2 for name, of in measures.items())
