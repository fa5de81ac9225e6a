"""The image tokenizer: a VQ-GAN in taming-transformers' layout, pure PyTorch."""

from models.vqgan.config import VQGANConfig
from models.vqgan.model import VQGAN

__all__ = ["VQGAN", "VQGANConfig"]
