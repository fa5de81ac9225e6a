"""The strangers that a screen is trained with, in memory: drawn families, and a folder of pictures."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.data.strangers.drawn import FAMILIES, draw_strangers
from models.data.strangers.table import pictures_of, read_strangers
from models.screen.config import KINDS, LATERAL, TrainingSource

# Of a batch's strangers; what there are no pictures of is shared among the others.
_SHARES = {"lateral": 0.2, "other_radiograph": 0.3, "not_a_radiograph": 0.5}
# The least side of the part that is taken of a picture: a part of a viewer may be a whole film, and one of a lateral
# nothing that anybody knows.
_LEAST_DRAWN = 0.9
_DRAWN = "drawn/"
# How often a source's pictures are taken, to once for a drawn family, which has less variety.
_PICTURES = 3.0
_LEAST = {"lateral": 0.85, "other_radiograph": 0.6, "not_a_radiograph": 0.4}


@dataclass(frozen=True)
class Strangers:
    """Pictures uint8 (N, side, side), their kinds (N,) as the network's outputs, the least side of a part (N,), groups
    (N,): how often one is taken does not depend on its size. `sources` says where they come from.
    """

    pictures: np.ndarray
    kinds: np.ndarray
    least: np.ndarray
    groups: np.ndarray
    sources: tuple[TrainingSource, ...]

    def with_laterals(self, films: np.ndarray) -> "Strangers":
        """These and `films`, uint8 (M, side, side), that a manifest calls lateral."""
        count = len(films)
        if not count:
            return self
        return replace(
            self,
            pictures=np.concatenate([self.pictures, films]),
            kinds=np.concatenate([self.kinds, np.full(count, KINDS.index(LATERAL))]),
            least=np.concatenate([self.least, np.full(count, _LEAST[LATERAL])]),
            groups=np.concatenate([self.groups, np.full(count, "films")]),
        )

    def take(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`count` of them: pictures, kinds, least sides."""
        present = [kind for kind in _SHARES if (self.kinds == KINDS.index(kind)).any()]
        shares = np.array([_SHARES[kind] for kind in present])
        rows = []
        for kind in rng.choice(len(present), count, p=shares / shares.sum()):
            of_kind = self.kinds == KINDS.index(present[kind])
            names = np.unique(self.groups[of_kind])
            weights = np.array([1.0 if name.startswith(_DRAWN) else _PICTURES for name in names])
            name = names[rng.choice(len(names), p=weights / weights.sum())]
            rows.append(int(rng.choice(np.flatnonzero(of_kind & (self.groups == name)))))
        return self.pictures[rows], self.kinds[rows], self.least[rows]


def load_strangers(folder: Path | None, films: np.ndarray, each: int, side: int, seed: int) -> Strangers:
    """Drawn pictures, `each` of every family, and the training pictures of `folder`; at `side` pixels.

    `films`, uint8 (N, H, W), are put into drawn viewers. Raises DataError for a folder that cannot be used.
    """
    drawn, kinds, names = draw_strangers(each, side, films, seed, held_out=False)
    least = np.full(len(drawn), _LEAST_DRAWN)
    groups = np.array([f"{_DRAWN}{name}" for name in names])
    sources = [
        TrainingSource(
            source="drawn by this project", kind=kind, pictures=0, licence="Apache-2.0", attribution="none due"
        )
        for kind in sorted({family.kind for family in FAMILIES.values() if not family.held_out})
    ]
    rows = read_strangers(folder, "train") if folder else []
    if folder and rows:
        drawn = np.concatenate([drawn, pictures_of(folder, rows, side)])
        least = np.concatenate([least, [_LEAST[row.kind] for row in rows]])
        groups = np.concatenate([groups, [row.source for row in rows]])
        kinds = kinds + [row.kind for row in rows]
        counts = Counter((row.source, row.kind, row.licence, row.attribution) for row in rows)
        sources += [
            TrainingSource(source=source, kind=kind, pictures=count, licence=licence, attribution=who)
            for (source, kind, licence, who), count in sorted(counts.items())
        ]
    known = np.array([KINDS.index(kind) for kind in kinds])
    return Strangers(drawn, known, least, groups, tuple(sources))
