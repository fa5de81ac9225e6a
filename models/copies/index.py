"""The index itself: training films as short vectors of int8, and the look-up of the nearest. It needs numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.copies.config import CopiesConfig
from models.copies.features import SIDE, STEP, Window, grey_cells, mirrored, scan

INDEX_FILE = "index.safetensors"
CONFIG_FILE = "config.json"
_SCAN = scan()
# Unit vectors are stored as int8 of so many steps.
_QUANTA = 127
_TYPES = {"float16": "F16", "int8": "I8"}
_LEAST = 1e-6
_LEAST_VARIANCE = 1e-4
# Undivided, the few components in which all films differ, such as how large a child lies in the picture, decide alone;
# divided by the whole deviation, noise counts as much as they do.
_WHITENING = 0.75
# Films that are compared at once: the products with all windows stay in the cache.
_FILMS = 2**14
# Of 150 films and their crops each has its nearest film among the first 72 by so many components, compared at every
# other place, as the black squares of a chessboard lie; 256 stay.
_COARSE = 64
_CANDIDATES = 256
_CHESSBOARD = np.array([round(window.right / STEP) + round(window.down / STEP) for window in _SCAN]) % 2 == 0


class CopiesError(ValueError):
    """An index that cannot be built, or one whose values make no sense."""


@dataclass(frozen=True)
class Nearest:
    """The training film that a picture is most similar to: the cosine, -1 to 1, and the film's row in its split."""

    similarity: float
    row: int


@dataclass(frozen=True)
class Projection:
    """Cells less their mean over the films, along the films' principal components, each divided by a power of its
    standard deviation: `mean` (256,), `components` (256, dimensions), float32.
    """

    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(cls, cells: np.ndarray, dimensions: int) -> Self:
        """The projection of the films' cells (N, 256)."""
        mean = cells.mean(0, dtype=np.float64)
        centred = cells - mean
        variances, directions = np.linalg.eigh(centred.T @ centred / len(cells))
        most = np.argsort(variances)[::-1][:dimensions]
        # Films that fill fewer dimensions differ in the others by rounding alone.
        kept = np.maximum(variances[most], max(_LEAST_VARIANCE * variances.max(), _LEAST))
        # As they are stored, so that what is looked up is projected in the same way as the films.
        stored = (directions[:, most] / kept ** (_WHITENING / 2)).astype(np.float16)
        return cls(mean.astype(np.float16).astype(np.float32), stored.astype(np.float32))

    def unit(self, cells: np.ndarray) -> np.ndarray:
        """Cells (N, 256) as unit vectors: float32 (N, dimensions)."""
        return _unit((cells - self.mean) @ self.components)


@dataclass(frozen=True)
class _Found:
    similarity: float
    row: int
    window: Window
    mirrored: bool


@dataclass(frozen=True)
class CopyIndex:
    """The middles of the training films: `rows` int8 (films, dimensions)."""

    config: CopiesConfig
    projection: Projection
    rows: np.ndarray

    def nearest(self, pixels: np.ndarray) -> Nearest:
        """The film whose middle is most similar to a part of a picture, uint8 (S, S), or of its mirror image.

        All windows of `scan` first, then those around the best one, twice, each time at half the distance.
        """
        cells = grey_cells(pixels, _SCAN)
        vectors = self.projection.unit(np.concatenate([cells, mirrored(cells)]))
        films = self._candidates(vectors[np.tile(_CHESSBOARD, 2)])
        best = self._best(vectors, [(window, flip) for flip in (False, True) for window in _SCAN], films)
        for step in (STEP / 2, STEP / 4):
            windows = best.window.around(step)
            cells = grey_cells(pixels, windows)
            vectors = self.projection.unit(mirrored(cells) if best.mirrored else cells)
            closer = self._best(vectors, [(window, best.mirrored) for window in windows], films)
            best = max(best, closer, key=lambda found: found.similarity)
        return Nearest(min(best.similarity, 1.0), best.row)

    def similarities(self, pictures: np.ndarray) -> np.ndarray:
        """The similarity of every picture, uint8 (N, S, S), to the nearest film: float32 (N,)."""
        return np.array([self.nearest(np.asarray(picture)).similarity for picture in pictures], np.float32)

    @cached_property
    def _vectors(self) -> np.ndarray:
        return _unit(self.rows.astype(np.float32))

    @cached_property
    def _first_components(self) -> np.ndarray:
        return np.ascontiguousarray(self._vectors[:, :_COARSE])

    def _candidates(self, vectors: np.ndarray) -> np.ndarray:
        """Rows of the films among which the nearest is: the most similar ones by the first components."""
        if len(self.rows) <= _CANDIDATES:
            return np.arange(len(self.rows))
        first = vectors[:, :_COARSE]
        coarse = np.concatenate(
            [
                (first @ self._first_components[begin : begin + _FILMS].T).max(0)
                for begin in range(0, len(self.rows), _FILMS)
            ]
        )
        return np.argpartition(coarse, -_CANDIDATES)[-_CANDIDATES:]

    def _best(self, vectors: np.ndarray, windows: Sequence[tuple[Window, bool]], films: np.ndarray) -> _Found:
        similarities = vectors @ self._vectors[films].T
        at, film = np.unravel_index(similarities.argmax(), similarities.shape)
        window, flipped = windows[int(at)]
        return _Found(float(similarities[at, film]), int(films[film]), window, flipped)

    def save(self, folder: Path) -> None:
        """Write index and configuration to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            "mean": self.projection.mean.astype(np.float16),
            "components": np.ascontiguousarray(self.projection.components, np.float16),
            "rows": self.rows,
        }
        save_file(tensors, folder / INDEX_FILE)
        (folder / CONFIG_FILE).write_text(self.config.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an index. Raises CopiesError, OSError, pydantic.ValidationError."""
        config = CopiesConfig.model_validate_json((folder / CONFIG_FILE).read_bytes())
        try:
            tensors = load_file(folder / INDEX_FILE)
        except SafetensorError as error:
            raise CopiesError(f"{INDEX_FILE} is no safetensors file that can be read: {error}") from error
        found = {name: (_TYPES.get(array.dtype.name, ""), array.shape) for name, array in tensors.items()}
        if found != shapes_of(config):
            raise CopiesError(f"{INDEX_FILE} holds other tensors than {CONFIG_FILE} describes")
        projection = Projection(tensors["mean"].astype(np.float32), tensors["components"].astype(np.float32))
        if not (np.isfinite(projection.mean).all() and np.isfinite(projection.components).all()):
            raise CopiesError(f"{INDEX_FILE} holds values that are not finite")
        return cls(config, projection, tensors["rows"])


def shapes_of(config: CopiesConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type, as safetensors names it, and shape of each tensor of an index, by name."""
    return {
        "mean": ("F16", (SIDE * SIDE,)),
        "components": ("F16", (SIDE * SIDE, config.dimensions)),
        "rows": ("I8", (config.films, config.dimensions)),
    }


def quantised(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors as they are stored: int8."""
    return np.round(vectors * _QUANTA).astype(np.int8)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST), np.float32)
