"""Codes to radiographs on plain torch, as every contender does it."""

from collections.abc import Sequence

import numpy as np
import torch

from models.bundle import Bundle
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey


class Decoder:
    """A bundle's VQ-GAN in fp32 on one device."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._device = torch.device(device)
        self._model = VQGAN.load(bundle.vqgan, self._device)

    @torch.inference_mode()
    def decode(self, codes: Sequence[Sequence[int]]) -> np.ndarray:
        """Images of codes (B, N) in one batch: uint8 (B, H, W), on the host."""
        return to_grey(self._model.decode(torch.tensor(codes, dtype=torch.int64).to(self._device)))
