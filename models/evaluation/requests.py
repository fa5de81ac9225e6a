"""What drawings are evaluated: three requests, drawn as a bundle draws them, and what a classifier calls them."""

from collections.abc import Sequence

import numpy as np
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from models.classifier import Classifier
from models.data.dataset import DataError
from models.evaluation.subject import Subject
from models.generate import Guidance, draw
from models.vqgan.pixels import to_pixels
from models.watermark import Watermark

REQUESTS = {
    "normal": "AP chest radiograph of a child. Normal chest radiograph.",
    "bacterial pneumonia": "AP chest radiograph of a child. Bacterial pneumonia.",
    "viral pneumonia": "AP chest radiograph of a child. Viral pneumonia.",
}
_BATCH = 32
_PAIRS = 60
# Five scales of an 11-pixel window need 161 pixels; smaller bundles are enlarged.
_MS_SSIM_SIDE = 176


def drawings_of(subject: Subject, each: int, seed: int = 0, scale: float | None = None) -> np.ndarray:
    """`each` drawings of every request by the bundle's defaults, those of a request side by side: uint8 (N, S, S).

    `scale` is that of their guidance; unset, the bundle's.
    """
    return subject.decode(drawn_codes(subject, each, seed, scale))


def drawn_codes(
    subject: Subject, each: int, seed: int = 0, scale: float | None = None, watermark: Watermark | None = None
) -> np.ndarray:
    """The codes of such drawings, marked where a `watermark` is given: int64 (N, grid)."""
    prompts, decoding = subject.bundle.prompts, subject.bundle.manifest.decoding.draw
    openings = [prompts.draw(text) + prompts.image_opening() for text in REQUESTS.values() for _ in range(each)]
    scale = decoding.guidance if scale is None else scale
    without = tuple(prompts.unconditional(decoding.unconditional))
    guidance = Guidance(scale, without) if scale != 1.0 else None
    tokens, vocabulary = subject.bundle.image_tokens, subject.bundle.vocabulary
    return draw(subject.llm, vocabulary, openings, decoding, tokens, seed, guidance, watermark)


def judged(classifier: Classifier, images: np.ndarray, labels: Sequence[str]) -> list[str]:
    """The likeliest of `labels` for every image, uint8 (N, H, W). Raises DataError for a label it does not know."""
    known = classifier.config.labels
    missing = [label for label in labels if label not in known]
    if missing:
        raise DataError(f"the judge does not know {missing}")
    columns = [known.index(label) for label in labels]
    found: list[str] = []
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            logits = classifier.logits(to_pixels(images[start : start + _BATCH], 1))[:, columns]
            found.extend(labels[index] for index in logits.argmax(1).tolist())
    return found


def similarity(images: np.ndarray) -> float:
    """Mean MS-SSIM (Wang et al. 2003) over random pairs of images: lower is more varied."""
    rng = np.random.default_rng(0)
    pairs = np.array([rng.choice(len(images), 2, replace=False) for _ in range(_PAIRS)])
    side = max(images.shape[-1], _MS_SSIM_SIDE)
    pixels = torch.nn.functional.interpolate(to_pixels(images, 1), size=(side, side), mode="bilinear")
    value = multiscale_structural_similarity_index_measure(
        pixels[pairs[:, 0]], pixels[pairs[:, 1]], data_range=2.0, normalize="relu"
    )
    return round(float(value), 3)
