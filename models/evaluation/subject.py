"""What is evaluated: a finished bundle, on one split of a manifest."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from models import bundle as bundles
from models.bundle import Bundle
from models.bundle.manifest import weights_digest
from models.data.codes import tokenise
from models.data.dataset import DataError, Record, rows_of
from models.data.images import load_data
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey, to_pixels


class Subject:
    """A bundle's models, loaded when first needed, and the radiographs of a split."""

    def __init__(self, bundle: Path, data: Path, cache: Path, split: str = "test", device: str = "cpu") -> None:
        """`cache` keeps preprocessed images and codes. Raises BundleError, DataError."""
        self.bundle: Bundle = bundles.load(bundle)
        self.split = split
        self.device = device
        self.records, self.images = load_data(data, self.bundle.manifest.image.size, cache)
        self.rows = rows_of(self.records, split)
        if not len(self.rows):
            raise DataError(f"{data.name}: no rows of split {split}")
        self._cache = cache

    @cached_property
    def vqgan(self) -> VQGAN:
        """The image tokenizer."""
        return VQGAN.load(self.bundle.vqgan, self.device)

    @cached_property
    def llm(self) -> PreTrainedModel:
        """The language model in fp32."""
        return AutoModelForCausalLM.from_pretrained(self.bundle.llm, dtype=torch.float32).to(self.device).eval()

    @cached_property
    def codes(self) -> np.ndarray:
        """Codes of the split's radiographs, each at its row of the manifest; zeros elsewhere: uint16 (N, grid)."""
        found = np.zeros((len(self.images), self.bundle.image_tokens), np.uint16)
        found[self.rows] = tokenise(self.vqgan, self.images[self.rows], self._cache / self.split)[:, 0]
        return found

    def rows_with(self, *conditions: str) -> list[int]:
        """Rows of the split whose labels are exactly one of `conditions`."""
        return [int(row) for row in self.rows if self.records[row].condition in conditions]

    def record(self, row: int) -> Record:
        """The record of a row."""
        return self.records[row]

    def prompt_codes(self, row: int) -> list[int]:
        """A radiograph's codes as prompts take them."""
        codes: list[int] = self.codes[row].tolist()
        return codes

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Codes of images uint8 (N, size, size): int64 (N, grid)."""
        pixels = to_pixels(images, self.bundle.manifest.image.channels).to(self.device)
        with torch.inference_mode():
            return self.vqgan.encode(pixels).cpu().numpy()

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Pictures of codes (N, grid): uint8 (N, size, size)."""
        pictures = []
        with torch.inference_mode():
            for row in codes.astype(np.int64):
                pictures.append(to_grey(self.vqgan.decode(torch.from_numpy(row[None]).to(self.device))))
        return np.concatenate(pictures)

    def about(self) -> dict[str, object]:
        """What the figures are of."""
        return {
            "bundle": self.bundle.manifest.label,
            "weights_sha256": weights_digest(self.bundle.manifest),
            "split": self.split,
            "images": len(self.rows),
        }
