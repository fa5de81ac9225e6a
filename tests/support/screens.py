"""A tiny screen and made-up strangers for the tests."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.data.strangers.table import Stranger, write_strangers
from models.screen.config import ScreenConfig
from models.screen.network import ScreenNetwork
from models.screen.screen import Screen

CONFIG = ScreenConfig(side=32, channels=(8, 16), squeezed=4, hidden=8)


def tiny_screen(seed: int = 0) -> Screen:
    """A screen of random weights."""
    torch.manual_seed(seed)
    return Screen(ScreenNetwork(CONFIG), CONFIG)


def noise(count: int = 3, side: int = 64) -> np.ndarray:
    """Noise with a slope, so that no turn of it looks like another: uint8 (count, side, side)."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 100, side)[:, None] + np.linspace(0, 50, side)
    return (slope + rng.integers(0, 90, (count, side, side))).astype(np.uint8)


def write_folder(folder: Path) -> Path:
    """A folder of six strangers: a source to train with, another to measure with."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, picture in enumerate(noise(6, 40)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        kind = ("lateral", "other_radiograph", "not_a_radiograph")[number % 3]
        source, split = ("shop", "train") if number < 3 else ("museum", "test")
        rows.append(Stranger(f"{number}.png", kind, source, split, "CC0-1.0", "made up"))
    write_strangers(folder, rows)
    return folder
