"""Feature extractors for losses and distances: our own classifier, the field's published networks, any torch module.

Each maps pixels (B, C, H, W) in [-1, 1] to features (B, D). Weights are always local files; nothing is downloaded.
"""

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.classifier import Classifier

_XRV_SIDE = 224
# TorchXRayVision scales 8-bit grey values to [-1024, 1024].
_XRV_RANGE = 1024.0
_XRV_LABELS = 18


class FeatureError(ValueError):
    """A reference to features that cannot be loaded; the message says why."""


class XRayVision(nn.Module):
    """The 1024 features of TorchXRayVision's DenseNet-121 (the classifier of the LLM-CXR paper's loss)."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torchxrayvision.models import DenseNet

        saved = _state_of(weights)
        self.net = DenseNet(num_classes=_XRV_LABELS, in_channels=1)
        self.net.load_state_dict(saved, strict=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features, (B, 1024)."""
        grey = F.interpolate(pixels.mean(1, keepdim=True), size=(_XRV_SIDE, _XRV_SIDE), mode="area")
        features: Tensor = self.net.features2(grey * _XRV_RANGE)
        return features


def _state_of(weights: Path) -> dict[str, Any]:
    """Tensors by name. TorchXRayVision publishes whole pickled modules, which would run what is in them."""
    try:
        saved = torch.load(weights, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FeatureError(
            f"{weights.name} holds code and not only weights; it was not run. Where you trust it, save its state_dict "
            "alone: torch.save(torch.load(FILE, weights_only=False).state_dict(), NEW)"
        ) from error
    if not isinstance(saved, dict):
        raise FeatureError(f"{weights.name} holds a {type(saved).__name__}, not tensors by name")
    return saved


class Inception(nn.Module):
    """The 2048 features of the Inception network that published FID values use."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))

    def forward(self, pixels: Tensor) -> Tensor:
        """Features, (B, 2048)."""
        bytes_ = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        features: Tensor = self.net(bytes_.expand(-1, 3, -1, -1))[0]
        return features


class RadDino(nn.Module):
    """The class token of a RAD-DINO folder in Hugging Face's layout."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import AutoImageProcessor, AutoModel

        self.net = AutoModel.from_pretrained(folder, local_files_only=True)
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        self.side = processor.crop_size["height"]
        self._mean, self._std = processor.image_mean, processor.image_std

    def forward(self, pixels: Tensor) -> Tensor:
        """Features, (B, D)."""
        unit = (F.interpolate(pixels, size=(self.side, self.side), mode="bicubic") + 1) / 2
        mean, std = (unit.new_tensor(values).view(1, -1, 1, 1) for values in (self._mean, self._std))
        features: Tensor = self.net((unit.expand(-1, 3, -1, -1) - mean) / std).pooler_output
        return features


_KINDS: dict[str, Callable[[Path], nn.Module]] = {
    "classifier": Classifier.load,
    "xrv": XRayVision,
    "inception": Inception,
    "rad-dino": RadDino,
}


def load_features(reference: str, device: torch.device | str = "cpu") -> nn.Module:
    """The frozen module of `KIND:PATH` (classifier, xrv, inception, rad-dino) or of `package.module:attribute`.

    An attribute is a module or a function that returns one. Raises FeatureError.
    """
    kind, _, rest = reference.partition(":")
    if not rest:
        raise FeatureError(f"features {reference!r}: write {', '.join(_KINDS)}:PATH or package.module:attribute")
    try:
        if kind in _KINDS:
            module = _KINDS[kind](Path(rest))
        else:
            found = getattr(importlib.import_module(kind), rest)
            module = found if isinstance(found, nn.Module) else found()
    except (ImportError, AttributeError, OSError, RuntimeError, ValueError) as error:
        raise FeatureError(f"features {reference!r} cannot be loaded: {error}") from error
    return module.to(device).eval().requires_grad_(False)
