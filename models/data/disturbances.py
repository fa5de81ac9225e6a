"""Pictures as they come in wrongly: turned, mirrored, inverted, cut, badly windowed, with borders and captions."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

_MOST_MISSING = 0.1
_CUT_FROM = 0.28
_CUT_TO = 0.5
# Films that stand in a frame, and those that a collimator left black around.
_FRAMED = 0.2
_WIDEST_FRAME = 1.55
_COLLIMATED = 0.2
_TILTED = 0.15
_MOST_TILT = 0.3
_CAPTIONS = 192
_LETTERS = (
    "R",
    "L",
    "PORTABLE",
    "AP",
    "PA",
    "ERECT",
    "SUPINE",
    "12:40",
    "14/07",
    "ID 4711",
    "SEMI",
    "MOBILE",
    "A",
    "7",
)


@dataclass(frozen=True)
class Disturbance:
    """What is done to each of N pictures. Windows are shares of a picture's sides; `turns` quarters anticlockwise."""

    windows: np.ndarray
    tilts: np.ndarray
    turns: np.ndarray
    mirrored: np.ndarray
    inverted: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.turns)


def of_films(count: int, rng: np.random.Generator) -> Disturbance:
    """Films: half of them mirrored, 45 % turned, 35 % inverted, 15 % cut, so that 28 to 50 % of a side are missing;
    a fifth of the others in a frame, 15 % tilted by up to 17 degrees.
    """
    height, width = rng.uniform(0.86, 1.16, (2, count))
    top, left = (
        rng.uniform(np.maximum(-0.2, -_MOST_MISSING), 1.0, count) * (1 - side) + rng.normal(0, 0.015, count)
        for side in (height, width)
    )
    windows = np.stack([top, left, height, width], 1)
    cut = rng.random(count) < 0.15
    for row in np.flatnonzero(cut):
        missing, axis, far = rng.uniform(_CUT_FROM, _CUT_TO), rng.integers(0, 2), rng.random() < 0.5
        side = rng.uniform(1 - missing, 1.0) if rng.random() < 0.5 else 1 - missing
        windows[row, 2:] = (side, side) if rng.random() < 0.7 else (windows[row, 2], windows[row, 3])
        windows[row, 2 + axis] = side
        windows[row, axis] = missing if far else 1 - missing - side
        other = 1 - axis
        windows[row, other] = rng.uniform(0, 1) * (1 - windows[row, 2 + other])
    _frame(windows, ~cut & (rng.random(count) < _FRAMED), rng)
    return Disturbance(
        windows.astype(np.float32),
        _tilts(count, 0.05, rng),
        np.where(rng.random(count) < 0.45, rng.integers(1, 4, count), 0),
        rng.random(count) < 0.5,
        rng.random(count) < 0.35,
        cut,
    )


def of_strangers(least: np.ndarray, rng: np.random.Generator) -> Disturbance:
    """Strangers: parts of them with at least the side `least` (N,), turned, mirrored and inverted in any way."""
    count = len(least)
    height = rng.uniform(least, 1.0)
    width = np.clip(height * np.exp(rng.normal(0, 0.1, count)), least, 1.1)
    top, left = rng.uniform(0, 1, (2, count)) * (1 - np.stack([height, width]))
    windows = np.stack([top, left, height, width], 1)
    _frame(windows, rng.random(count) < _FRAMED, rng)
    return Disturbance(
        windows.astype(np.float32),
        _tilts(count, 0.08, rng),
        np.where(rng.random(count) < 0.5, rng.integers(1, 4, count), 0),
        rng.random(count) < 0.5,
        rng.random(count) < 0.35,
        np.zeros(count, bool),
    )


def _frame(windows: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> None:
    """Makes windows (N, 4) of `rows` so wide that the whole picture stands in them, anywhere."""
    sides = rng.uniform(1.0, _WIDEST_FRAME, len(windows))
    windows[rows, 2:] = (sides[:, None] * rng.uniform(1.0, 1.05, (len(windows), 2)))[rows]
    windows[rows, :2] = -rng.uniform(0, 1, (int(rows.sum()), 2)) * (windows[rows, 2:] - 1.0)


def _tilts(count: int, usual: float, rng: np.random.Generator) -> np.ndarray:
    strong = rng.random(count) < _TILTED
    tilts = np.where(strong, rng.uniform(-_MOST_TILT, _MOST_TILT, count), rng.normal(0, usual, count))
    found: np.ndarray = tilts.astype(np.float32)
    return found


def collimated(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures, uint8 (N, H, W), a fifth of them black outside of a circle or of a tilted rectangle."""
    count, height, width = pictures.shape
    rows, columns = np.mgrid[:height, :width]
    rows, columns = (rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5
    found = pictures.copy()
    for index in np.flatnonzero(rng.random(count) < _COLLIMATED):
        down, across = rows - rng.normal(0, 0.03), columns - rng.normal(0, 0.03)
        if rng.random() < 0.5:
            outside = np.hypot(down, across) > rng.uniform(0.42, 0.6)
        else:
            lean = rng.normal(0, 0.08)
            high, wide = rng.uniform(0.4, 0.5, 2)
            outside = (np.abs(down + lean * across) > high) | (np.abs(across - lean * down) > wide)
        found[index][outside] = rng.integers(0, 12)
    return found


def disturbed(pictures: Tensor, how: Disturbance, side: int, *, black: bool) -> Tensor:
    """Pictures uint8 (N, H, W) after everything that `how` says: float (N, side, side) in [-1, 1].

    What lies outside a picture is black, or repeats its edge.
    """
    device = pictures.device
    top, left, height, width = torch.from_numpy(how.windows).to(device).unbind(1)
    tilt = torch.from_numpy(how.tilts).to(device)
    cos, sin = torch.cos(tilt), torch.sin(tilt)
    across = torch.stack([width * cos, -height * sin, 2 * left + width - 1], 1)
    down = torch.stack([width * sin, height * cos, 2 * top + height - 1], 1)
    # Averages first, so that what is finer than the result leaves no false pattern.
    pixels = pictures[:, None].float() / 127.5
    where = F.affine_grid(torch.stack([across, down], 1), [len(how), 1, side, side], align_corners=False)
    padding = "zeros" if black else "border"
    seen = F.grid_sample(pixels, where, mode="bilinear", padding_mode=padding, align_corners=False)[:, 0] - 1
    inverted = torch.from_numpy(how.inverted).to(device)[:, None, None]
    seen = torch.where(inverted, -seen, seen)
    mirrored = torch.from_numpy(how.mirrored).to(device)[:, None, None]
    seen = torch.where(mirrored, seen.flip(2), seen)
    found = seen.clone()
    for turns in (1, 2, 3):
        rows = torch.from_numpy(how.turns == turns).to(device)
        found[rows] = torch.rot90(seen[rows], turns, (1, 2))
    return found


def windowed(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures (N, S, S) in [-1, 1] with other gamma, window, blur and grain, many of them badly so."""
    count, device = len(pixels), pixels.device

    def each(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device)[:, None, None]

    bad = rng.random(count) < 0.3
    grey = ((pixels + 1) / 2).clamp(0, 1) ** each(np.exp(rng.normal(0, np.where(bad, 0.5, 0.15))))
    contrast = np.exp(rng.normal(0, np.where(bad, 0.5, 0.1)))
    middle = rng.uniform(0.35, 0.65, count)
    grey = (grey - each(middle)) * each(contrast) + each(middle + rng.normal(0, np.where(bad, 0.15, 0.04)))
    blurred = F.avg_pool2d(F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    share = each(np.where(rng.random(count) < 0.4, rng.uniform(0, 1, count), 0) * 1.0)
    grey = grey + share * (blurred - grey)
    grain = torch.from_numpy(rng.standard_normal(tuple(grey.shape), np.float32)).to(device)
    grey = grey + grain * each(np.where(rng.random(count) < 0.4, rng.uniform(0, 0.06, count), 0) * 1.0)
    return grey.clamp(0, 1) * 2 - 1


class Captions:
    """Letters and numbers as they are burnt in near the edges, drawn once at a side in pixels.

    They are burnt in after a picture was mirrored: letters must not tell whether it was.
    """

    def __init__(self, side: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        masks = []
        for _ in range(_CAPTIONS):
            picture = Image.new("L", (2 * side, 2 * side))
            pen = ImageDraw.Draw(picture)
            for _ in range(rng.integers(1, 5)):
                place = rng.uniform(0, 1, 2) * 2 * side
                edge = rng.integers(0, 2)
                place[edge] = rng.choice([rng.uniform(0, 0.12), rng.uniform(0.82, 0.97)]) * 2 * side
                font = ImageFont.load_default(int(rng.uniform(0.04, 0.14) * 2 * side))
                pen.text(tuple(place.tolist()), str(rng.choice(_LETTERS)), 255, font)
            masks.append(np.asarray(picture.resize((side, side), Image.Resampling.BOX), np.float32) / 255)
        self._masks = torch.from_numpy(np.stack(masks))

    def burn(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        """Pictures (N, S, S) in [-1, 1]: a third with captions, a fifth with a border, a fifth with a patch over an
        upper corner.
        """
        count, side = len(pixels), pixels.shape[-1]
        found = pixels.clone()
        for row in range(count):
            if rng.random() < 0.2:
                edges = (rng.uniform(0, 0.09, 4) * (rng.random(4) < 0.6) * side).astype(int)
                grey = float(rng.choice([-1.0, -1.0, 1.0, rng.uniform(-1, 1)]))
                top, bottom, left, right = edges.tolist()
                found[row, :top] = found[row, side - bottom :] = grey
                found[row, :, :left] = found[row, :, side - right :] = grey
            if rng.random() < 0.2:
                high, wide = (rng.uniform(0.06, 0.2, 2) * side).astype(int).tolist()
                columns = slice(0, wide) if rng.random() < 0.5 else slice(side - wide, side)
                found[row, :high, columns] = float(rng.uniform(-1, 1))
            if rng.random() < 0.33:
                mask = self._masks[rng.integers(len(self._masks))].to(pixels.device)
                level = float(rng.choice([1.0, 1.0, 0.6, -1.0]))
                found[row] = found[row] * (1 - mask) + level * mask
        return found
