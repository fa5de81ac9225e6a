"""Made-up radiographs and small trainers for the tests of training and evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image

from models.conditions import BACTERIAL, COVID, NORMAL, VIRAL
from models.data.dataset import Record, write_dataset
from models.training.vqgan import VQGANRecipe, VQGANTrainer
from models.vqgan import VQGANConfig

CONDITIONS: tuple[tuple[str, ...], ...] = (
    (NORMAL,),
    (BACTERIAL,),
    (VIRAL,),
    (COVID,),
    (),
    ("cardiomegaly", "pleural effusion"),
)
TINY = VQGANConfig(
    resolution=32,
    in_channels=1,
    out_ch=1,
    ch=8,
    ch_mult=(1, 2, 2),
    num_res_blocks=1,
    z_channels=8,
    embed_dim=4,
    n_embed=16,
    norm_groups=4,
)
VQGAN_RECIPE = VQGANRecipe(
    steps=8,
    whole_from=3,
    freeze_codes_from=5,
    discriminator_from=6,
    crop=16,
    crop_batch=2,
    whole_batch=2,
    discriminator_channels=8,
    warmup=2,
)


def record(labels: tuple[str, ...], number: int = 0, **changes: Any) -> Record:
    """A record of the training split."""
    values: dict[str, Any] = {"split": "train", "group": f"g{number}", "view": "AP", "age_group": "paediatric"}
    return Record(image=f"{number}.png", labels=labels, **{**values, **changes})


RECORDS = [record(labels, number) for number, labels in enumerate(CONDITIONS * 4)]


def write_data(folder: Path, count: int = 20, side: int = 70) -> Path:
    """`count` noisy pictures whose brightness is their label, a fifth of them for tests; the manifest's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        labels = CONDITIONS[number % 3]
        pixels = rng.integers(0, 40, (side, side)) + 60 * (number % 3)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        records.append(record(labels, number, split="test" if number % 5 == 0 else "train", attribution="made up"))
    write_dataset(records, folder / "manifest.csv")
    return folder / "manifest.csv"


def vqgan_trainer(features: str = "", recipe: VQGANRecipe = VQGAN_RECIPE) -> VQGANTrainer:
    """A trainer of a tiny image tokenizer on six noise images."""
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32)).astype(np.uint8)
    return VQGANTrainer(TINY, recipe, images, np.arange(6), Accelerator(cpu=True), features)


class Brightness(torch.nn.Module):
    """Mean and spread of an image."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.stack([pixels.mean((1, 2, 3)), pixels.std((1, 2, 3))], 1)
