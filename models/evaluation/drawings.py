"""Drawn radiographs: do they show what was asked, do they differ from each other, and are they copies?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from models.classifier import Classifier
from models.data.dataset import DataError
from models.data.images import grid
from models.data.structure import spectrum, spread, structure
from models.evaluation.copies import resemblance
from models.evaluation.reconstruction import distances
from models.evaluation.reports import THREE
from models.evaluation.statistics import accuracy, balanced_accuracy, scored
from models.evaluation.subject import Subject
from models.generate import Guidance, draw
from models.vqgan.pixels import to_pixels

REQUESTS = {
    "normal": "AP chest radiograph of a child. Normal chest radiograph.",
    "bacterial pneumonia": "AP chest radiograph of a child. Bacterial pneumonia.",
    "viral pneumonia": "AP chest radiograph of a child. Viral pneumonia.",
}
_BATCH = 32
# Images are compared at this side: fine noise does not hide a copy.
_SIDE = 64
_PAIRS = 60
_SHOWN = 8
_CONTACTS = 3
# Five scales of an 11-pixel window need 161 pixels; smaller bundles are enlarged.
_MS_SSIM_SIDE = 176


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


def nearest(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean square difference, in grey levels, of every image to the nearest of `others` at 64 px: (N,)."""

    def small(stack: np.ndarray) -> np.ndarray:
        rows = [np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)) for image in stack]
        return np.stack(rows).reshape(len(rows), -1).astype(np.float32)

    a, b = small(images), small(others)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares.min(1), 0.0) / a.shape[1]))


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


def likeness(real: np.ndarray, made: np.ndarray) -> dict[str, Any]:
    """Structure, spread and power spectrum of made images over those of real ones of the same kind: 1 is alike."""
    powers = spectrum(made).mean(0) / spectrum(real).mean(0)
    return {
        "structure": round(float(structure(made).mean() / structure(real).mean()), 3),
        "spread": round(spread(made) / spread(real), 3),
        "power_by_octave": [round(float(value), 3) for value in powers],
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    low, middle = np.percentile(values, (0, 50))
    return {"least": round(float(low), 2), "median": round(float(middle), 2)}


def evaluate_drawings(
    subject: Subject, judge: Path, each: int = 40, features: Sequence[str] = (), seed: int = 0
) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """Figures of `each` drawings per request, and sheets: `drawings`, a row a request; `contact`, rows of real,
    reconstructed and drawn radiographs, three of each label side by side.

    `judge` is a folder of a classifier trained on real images only. Distances to the nearest training image stand
    beside those of the split's own images, as they are and as the image tokenizer reconstructs them; where the bundle
    has an index of its training films, so does the share above its limit.
    """
    classifier = Classifier.load(judge)
    prompts, labels = subject.bundle.prompts, list(THREE)
    rows, columns = subject.bundle.manifest.image.grid
    openings = [prompts.draw(REQUESTS[label]) + prompts.image_opening() for label in labels for _ in range(each)]
    decoding = subject.bundle.manifest.decoding.draw
    without = tuple(prompts.unconditional(decoding.unconditional))
    guidance = Guidance(decoding.guidance, without) if decoding.guidance != 1.0 else None
    codes = draw(subject.llm, subject.bundle.vocabulary, openings, decoding, rows * columns, seed, guidance)
    drawn = subject.decode(codes)
    wanted = [label for label in labels for _ in range(each)]
    found = judged(classifier, drawn, labels)
    held_out = subject.rows_with(*labels)
    if not held_out:
        raise DataError(f"split {subject.split} has no radiograph labelled {', '.join(labels)}")
    real = np.asarray(subject.images[held_out])
    truth = [str(subject.record(row).condition) for row in held_out]
    own = judged(classifier, real, labels)
    reconstructed = subject.decode(subject.codes[held_out])
    train = np.asarray(subject.images[[i for i, r in enumerate(subject.records) if r.split == "train"]])
    sheet = np.concatenate([drawn[start : start + min(_SHOWN, each)] for start in range(0, len(drawn), each)])
    figures = {
        **subject.about(),
        "requests": REQUESTS,
        "each": each,
        "label_agreement": scored(accuracy, wanted, found),
        "agreement_by_request": {
            label: round(accuracy(wanted[i * each : (i + 1) * each], found[i * each : (i + 1) * each]), 3)
            for i, label in enumerate(labels)
        },
        "judge_on_real_images": {
            "by_label": {
                label: round(float(np.mean([o == t for o, t in zip(own, truth, strict=True) if t == label])), 3)
                for label in sorted(set(truth))
            },
            "accuracy": scored(accuracy, truth, own),
            "balanced_accuracy": scored(balanced_accuracy, truth, own),
        },
        "judge_on_reconstructed_images": {
            "balanced_accuracy": scored(balanced_accuracy, truth, judged(classifier, reconstructed, labels))
        },
        "ms_ssim_within_request": {
            label: similarity(drawn[i * each : (i + 1) * each]) for i, label in enumerate(labels)
        },
        "ms_ssim_of_real_images": {
            label: similarity(real[[i for i, t in enumerate(truth) if t == label]])
            for label in labels
            if truth.count(label) > 1
        },
        "likeness_to_real_images": {
            label: likeness(real[[t == label for t in truth]], drawn[i * each : (i + 1) * each])
            for i, label in enumerate(labels)
            if truth.count(label) > 1
        },
        "nearest_training_image": {
            "unit": "root mean square of grey levels at 64 px",
            "drawn": _summary(nearest(drawn, train)),
            "held_out": _summary(nearest(real, train)),
            "held_out_reconstructed": _summary(nearest(reconstructed, train)),
        },
        "distances": [distances(real, drawn, reference) for reference in features],
    }
    if (index := subject.bundle.copies) is not None:
        figures["resemblance_to_training_images"] = resemblance(index, drawn, real)
    shown = [i for label in labels for i in [n for n, t in enumerate(truth) if t == label][:_CONTACTS]]
    chosen = [i * each + n for i, label in enumerate(labels) for n in range(min(_CONTACTS, each, truth.count(label)))]
    contact = np.concatenate([real[shown][: len(chosen)], reconstructed[shown][: len(chosen)], drawn[chosen]])
    return figures, {"drawings": grid(sheet, min(_SHOWN, each)), "contact": grid(contact, len(chosen))}
