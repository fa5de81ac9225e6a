"""Drawn radiographs of other parts of the body: rays through tubes of bone in soft tissue, and no anatomy."""

import numpy as np

from models.data.strangers.textures import Grey, places


def limb(rng: np.random.Generator, side: int) -> Grey:
    """One to five long bones with cortex and joints in a limb, a hand or a hip's worth of soft tissue."""
    rows, columns = places(side)
    angle = rng.normal(0, 0.35)
    along, across = rows * np.cos(angle) + columns * np.sin(angle), columns * np.cos(angle) - rows * np.sin(angle)
    along, across = along - rng.uniform(-0.3, 0.3), across - rng.uniform(-0.3, 0.3)
    count, half = int(rng.integers(1, 6)), rng.uniform(0.25, 1.0)
    path = rng.uniform(0.4, 1.2) * _tube(across + 0.1 * np.sin(along * 2), half * (1 + 0.2 * np.sin(along * 3)))
    for index in range(count):
        centre = (index - (count - 1) / 2) * 1.4 * half / count + rng.normal(0, 0.04)
        lean, joint = rng.normal(0, 0.12), rng.uniform(-0.6, 0.6)
        thick = rng.uniform(0.2, 0.45) * half / count
        gap = np.abs(along - joint - 0.3 * (across - centre) ** 2)
        width = thick * (1 + rng.uniform(0.3, 1.1) * np.exp(-((gap / 0.18) ** 2)))
        place = across - centre - lean * along
        bone = _tube(place, width) - rng.uniform(0.4, 0.9) * _tube(place, width * rng.uniform(0.5, 0.85))
        path = path + rng.uniform(1.5, 4) * bone * (gap > rng.uniform(0.01, 0.05))
    return _film(path, rng)


def skull(rng: np.random.Generator, side: int) -> Grey:
    """Shells of bone within each other, a spine below them."""
    rows, columns = places(side)
    row, column = rng.uniform(-0.4, 0.1), rng.uniform(-0.3, 0.3)
    high, wide = rng.uniform(0.45, 0.8), rng.uniform(0.4, 0.75)
    outer = _ball(rows - row, columns - column, high, wide)
    path = 0.7 * outer + rng.uniform(1, 3) * (outer - _ball(rows - row, columns - column, high * 0.92, wide * 0.92))
    for _ in range(rng.integers(2, 7)):
        size = rng.uniform(0.08, 0.3, 2)
        place = (rows - row - rng.uniform(0, high), columns - column - rng.uniform(-wide, wide) * 0.6)
        path = path + rng.uniform(-1.2, 1.5) * _ball(*place, *size) * (outer > 0)
    lean, pitch = rng.normal(0, 0.2), rng.uniform(12, 25)
    spine = _tube(columns - column - lean * rows, np.full_like(rows, 0.16)) * (0.7 + 0.3 * np.sin(rows * pitch))
    return _film(path + 1.5 * spine * (rows > row + 0.6 * high), rng)


def spine(rng: np.random.Generator, side: int) -> Grey:
    """Vertebrae in an abdomen or a neck, with gas and perhaps a pelvis below."""
    rows, columns = places(side)
    column, pitch, wide = rng.uniform(-0.3, 0.3), rng.uniform(6, 16), rng.uniform(0.12, 0.3)
    bend = column + rng.normal(0, 0.12) * np.sin(rows * 2)
    wave = np.sin(rows * pitch + rng.uniform(0, 6))
    path = rng.uniform(0.6, 1.4) * _tube(columns - rng.normal(0, 0.1), np.full_like(rows, rng.uniform(0.6, 1.3)))
    path = path + rng.uniform(1, 3) * _tube(columns - bend, wide * (1 + 0.1 * wave)) * (0.75 + 0.25 * np.tanh(3 * wave))
    for _ in range(rng.integers(0, 12)):
        place = (rows - rng.uniform(-0.8, 0.8), columns - rng.uniform(-0.8, 0.8))
        path = path - rng.uniform(0.1, 0.5) * _ball(*place, *rng.uniform(0.05, 0.2, 2))
    if rng.random() < 0.5:
        for sign in (-1, 1):
            wing = (rows - rng.uniform(0.4, 0.9), columns - bend - sign * rng.uniform(0.4, 0.6))
            path = path + rng.uniform(0.5, 1.5) * (_ball(*wing, 0.45, 0.4) - 0.6 * _ball(*wing, 0.36, 0.3))
    return _film(path, rng)


def imitation(rng: np.random.Generator, side: int) -> Grey:
    """Two dark lungs, perhaps a heart and ribs, as somebody draws them who has no film."""
    rows, columns = places(side)
    light = 0.75 - rng.uniform(-0.1, 0.2) * rows
    power = rng.choice([2, 4, 8])
    for sign in (-1, 1):
        place = (columns - sign * rng.uniform(0.3, 0.5)) / rng.uniform(0.2, 0.38)
        light = light - rng.uniform(0.3, 0.6) * np.exp(-(place**power) - (rows / rng.uniform(0.5, 0.8)) ** power)
    if rng.random() < 0.7:
        light = light + rng.uniform(0, 0.3) * np.exp(-((columns / rng.uniform(0.08, 0.2)) ** 2))
        heart = ((columns - rng.uniform(-0.2, 0.2)) / 0.26) ** 2 + ((rows - 0.3) / 0.3) ** 2
        light = light + rng.uniform(0, 0.35) * np.exp(-heart)
    if rng.random() < 0.7:
        light = light + rng.uniform(0.02, 0.1) * np.sin(
            rng.uniform(12, 26) * rows + rng.uniform(0, 4) * np.abs(columns)
        )
    light = light + rng.normal(size=light.shape) * rng.choice([0.0, rng.uniform(0, 0.05)])
    light = (light - light.min()) / (np.ptp(light) + 1e-6)
    return np.asarray((light * 255).astype(np.uint8))


def _tube(place: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Length of the ray through a tube seen from its side."""
    return np.asarray(np.sqrt(np.maximum(np.asarray(width) ** 2 - place**2, 0.0)))


def _ball(rows: np.ndarray, columns: np.ndarray, high: float, wide: float) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(1 - (rows / high) ** 2 - (columns / wide) ** 2, 0.0)))


def _film(path: np.ndarray, rng: np.random.Generator) -> Grey:
    """Bright where the ray met more, as on a film, with grain, between two levels."""
    lit = 1 - np.exp(-rng.uniform(0.5, 2.5) * np.maximum(path, 0))
    lit = (lit - lit.min()) / (np.ptp(lit) + 1e-6)
    lit = lit ** rng.uniform(0.6, 1.6) + rng.normal(size=lit.shape) * rng.uniform(0, 0.04)
    low, high = rng.uniform(0, 50), rng.uniform(170, 255)
    return np.asarray(np.clip(low + lit * (high - low), 0, 255).astype(np.uint8))
