"""Families of drawn strangers. Those that are held out are drawn for measurements alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.data.strangers import bodies, pages, textures
from models.screen.config import NOT_A_RADIOGRAPH, OTHER_RADIOGRAPH

Draw = Callable[[np.random.Generator, int], np.ndarray]
DrawWithFilms = Callable[[np.random.Generator, int, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Family:
    """How one kind of picture is drawn: of a generator and a side in pixels, some also of films uint8 (N, H, W)."""

    kind: str
    held_out: bool
    plain: Draw | None = None
    of_films: DrawWithFilms | None = None

    def draw(self, rng: np.random.Generator, side: int, films: np.ndarray) -> np.ndarray:
        """A picture: uint8 (side, side)."""
        if self.plain is not None:
            return self.plain(rng, side)
        if self.of_films is None:
            raise ValueError("a family without a way to draw it")
        return self.of_films(rng, side, films)


_nothing = partial(Family, NOT_A_RADIOGRAPH, False)
_held = partial(Family, NOT_A_RADIOGRAPH, True)
FAMILIES: dict[str, Family] = {
    "noise": _nothing(textures.noise),
    "gradient": _nothing(textures.gradient),
    "blank": _nothing(textures.blank),
    "stripes": _nothing(textures.stripes),
    "shapes": _nothing(textures.shapes),
    "code": _nothing(textures.code),
    "text": _nothing(pages.text),
    "window": _nothing(pages.window),
    "viewer": _nothing(of_films=pages.viewer),
    "scrambled": _nothing(of_films=pages.scrambled),
    "pair": _nothing(of_films=pages.pair),
    "imitation": _nothing(bodies.imitation),
    "limb": Family(OTHER_RADIOGRAPH, False, bodies.limb),
    "skull": Family(OTHER_RADIOGRAPH, False, bodies.skull),
    "spine": Family(OTHER_RADIOGRAPH, False, bodies.spine),
    "board": _held(textures.board),
    "cells": _held(textures.cells),
    "rings": _held(textures.rings),
    "fractal": _held(textures.fractal),
    "table": _held(pages.table),
    "chart": _held(pages.chart),
    "handwriting": _held(pages.handwriting),
}


def draw_strangers(
    each: int, side: int, films: np.ndarray, seed: int, *, held_out: bool
) -> tuple[np.ndarray, list[str], list[str]]:
    """`each` pictures of every family in use: uint8 (N, side, side), their kinds, their families.

    Without `films`, uint8 (M, H, W), the families that need them are left out.
    """
    rng = np.random.default_rng(seed)
    pictures, kinds, names = [], [], []
    for name, family in FAMILIES.items():
        if family.held_out is not held_out or (family.plain is None and not len(films)):
            continue
        for _ in range(each):
            pictures.append(family.draw(rng, side, films))
            kinds.append(family.kind)
            names.append(name)
    return np.stack(pictures), kinds, names
