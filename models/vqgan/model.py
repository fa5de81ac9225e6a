"""The VQ-GAN as the service uses it: pixels to codes and back."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from models.storage import read_config, read_weights, save_model
from models.vqgan.config import VQGANConfig
from models.vqgan.network import Decoder, Encoder
from models.vqgan.quantizer import Quantizer


class VQGAN(nn.Module):
    """Image tokenizer. Codes are flat indices into the codebook, row by row over the grid."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = Quantizer(config.n_embed, config.embed_dim)
        self.quant_conv = nn.Conv2d(config.z_channels, config.embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(config.embed_dim, config.z_channels, 1)

    def embed(self, pixels: Tensor) -> Tensor:
        """Features before quantisation: (B, C, H, W) in [-1, 1] -> (B, embed_dim, H/f, W/f)."""
        features: Tensor = self.quant_conv(self.encoder(pixels))
        return features

    def encode(self, pixels: Tensor) -> Tensor:
        """Tokenise images: float (B, C, H, W) in [-1, 1] -> int64 (B, H/f * W/f), row-major."""
        features = self.embed(pixels)
        vectors = features.permute(0, 2, 3, 1).reshape(-1, self.config.embed_dim)
        return self.quantize.nearest(vectors).view(pixels.shape[0], -1)

    def reconstruct(self, entries: Tensor) -> Tensor:
        """Decode codebook vectors: (B, embed_dim, h, w) -> (B, C, h*f, w*f), not clipped."""
        pixels: Tensor = self.decoder(self.post_quant_conv(entries))
        return pixels

    def decode(self, codes: Tensor) -> Tensor:
        """Draw images: int64 (B, N) codes over the configured grid -> float (B, C, H, W), not clipped.

        Raises ValueError where N is not the grid's size or a code is outside the codebook.
        """
        rows, columns = self.config.grid
        if codes.ndim != 2 or codes.shape[1] != rows * columns:
            raise ValueError(f"codes must be (batch, {rows * columns}), not {tuple(codes.shape)}")
        if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= self.config.n_embed):
            raise ValueError(f"codes must lie in 0..{self.config.n_embed - 1}")
        entries = self.quantize.entries(codes).view(-1, rows, columns, self.config.embed_dim)
        return self.reconstruct(entries.permute(0, 3, 1, 2).contiguous())

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` (fp32) to `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> Self:
        """Read a model that `save` wrote, strictly: a missing or an extra tensor is an error.

        Raises OSError, pydantic.ValidationError, or RuntimeError naming the tensors that do not fit.
        """
        config = VQGANConfig.model_validate_json(read_config(folder))
        with torch.device("meta"):
            model = cls(config)
        model.load_state_dict(read_weights(folder), strict=True, assign=True)
        return model.to(device).eval()
