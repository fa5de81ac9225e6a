"""The pictures that a screen is measured on: films of a split, and strangers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from models.data.strangers.drawn import draw_strangers
from models.data.strangers.table import pictures_of, read_strangers
from models.evaluation.subject import Subject
from models.preprocessing import fit
from models.screen.config import LATERAL

_EACH = 40
_SEED = 1
# Of a film's height or width that is missing in the test of cut films.
_MISSING = 0.4


@dataclass(frozen=True)
class Strangers:
    """Pictures that are no frontal films, uint8 (N, size, size), the kind of each, and where it comes from."""

    pictures: np.ndarray
    kinds: list[str]
    sources: list[str]

    def by_source(self) -> dict[str, list[int]]:
        """Rows by source and kind."""
        pairs = list(zip(self.kinds, self.sources, strict=True))
        return {
            f"{source} ({kind})": [row for row, pair in enumerate(pairs) if pair == (kind, source)]
            for kind, source in sorted(set(pairs))
        }


def films_of(subject: Subject) -> tuple[np.ndarray, list[str]]:
    """The split's frontal films, uint8 (N, size, size), and the age group of each patient."""
    frontal = [int(row) for row in subject.rows if subject.record(row).frontal]
    ages = [subject.record(row).age_group or "unknown" for row in frontal]
    return np.stack([subject.images[row] for row in frontal]), ages


def strangers_of(subject: Subject, folder: Path | None, *, held_out: bool) -> Strangers:
    """Strangers of the test part of `folder`, and drawn ones; `held_out` says of which families."""
    size = subject.bundle.manifest.image.size
    films = np.stack([subject.images[row] for row in subject.rows])
    pictures, kinds, names = draw_strangers(_EACH, size, films, _SEED, held_out=held_out)
    sources = [f"drawn: {name}" for name in names]
    if folder is not None:
        rows = read_strangers(folder, "test")
        pictures = np.concatenate([pictures, pictures_of(folder, rows, size)])
        kinds, sources = kinds + [row.kind for row in rows], sources + [row.source for row in rows]
    lateral = [int(row) for row in subject.rows if not subject.record(row).frontal] if held_out else []
    if lateral:
        pictures = np.concatenate([pictures, np.stack([subject.images[row] for row in lateral])])
        kinds, sources = kinds + [LATERAL] * len(lateral), sources + ["manifest"] * len(lateral)
    return Strangers(pictures, kinds, sources)


def without_part(film: np.ndarray, name: str) -> np.ndarray:
    """A film that lacks a part, as preprocessing would leave it."""
    missing = int(_MISSING * len(film))
    kept = {
        "top": film[missing:],
        "bottom": film[:-missing],
        "left": film[:, missing:],
        "right": film[:, :-missing],
    }[name]
    return np.asarray(fit(Image.fromarray(np.ascontiguousarray(kept)), len(film)))


def share(values: Sequence[bool] | np.ndarray) -> float:
    """The share of those that are true."""
    return round(float(np.mean(values)), 4)


def by_group(found: Sequence[bool] | np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """The share of those that are true in each group."""
    return {
        name: share([one for one, group in zip(found, groups, strict=True) if group == name])
        for name in sorted(set(groups))
    }
