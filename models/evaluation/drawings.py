"""Drawn radiographs: do they show what was asked, do they differ from each other, and are they copies?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.classifier import Classifier
from models.data.dataset import DataError
from models.data.images import grid
from models.evaluation.copies import resemblance
from models.evaluation.guidance import RealFilms, figures_of, plot, sweep
from models.evaluation.plots import check_matplotlib
from models.evaluation.precision_recall import features_of, precision_recall
from models.evaluation.requests import REQUESTS, drawings_of, judged, similarity
from models.evaluation.statistics import accuracy, balanced_accuracy, scored
from models.evaluation.subject import Subject

# Images are compared at this side: fine noise does not hide a copy.
_SIDE = 64
_SHOWN = 8
_CONTACTS = 3


def nearest(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean square difference, in grey levels, of every image to the nearest of `others` at 64 px: (N,)."""

    def small(stack: np.ndarray) -> np.ndarray:
        rows = [np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)) for image in stack]
        return np.stack(rows).reshape(len(rows), -1).astype(np.float32)

    a, b = small(images), small(others)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares.min(1), 0.0) / a.shape[1]))


def _summary(values: np.ndarray) -> dict[str, float]:
    low, middle = np.percentile(values, (0, 50))
    return {"least": round(float(low), 2), "median": round(float(middle), 2)}


def evaluate_drawings(
    subject: Subject,
    judge: Path,
    each: int = 40,
    features: Sequence[str] = (),
    scales: Sequence[float] = (),
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """Figures of `each` drawings per request, and sheets: `drawings`, a row a request; `contact`, rows of real,
    reconstructed and drawn radiographs, three of each label side by side; with `scales` of guidance, at each of which
    the drawings are measured besides, `guidance`, a plot.

    `judge` is a folder of a classifier trained on real images only; distances, precision and recall are on its features
    where no `features` are named. Distances to the nearest training image stand beside those of the split's own images,
    as they are and as the image tokenizer reconstructs them; where the bundle has an index of its training films, so
    does the share above its limit.
    """
    if scales:
        check_matplotlib()
    classifier, labels = Classifier.load(judge), list(REQUESTS)
    references = list(features) or [f"classifier:{judge}"]
    held_out = subject.rows_with(*labels)
    if not held_out:
        raise DataError(f"split {subject.split} has no radiograph labelled {', '.join(labels)}")
    real = np.asarray(subject.images[held_out])
    truth = [str(subject.record(row).condition) for row in held_out]
    films = RealFilms(real, truth)
    drawn = drawings_of(subject, each, seed)
    own = judged(classifier, real, labels)
    reconstructed = subject.decode(subject.codes[held_out])
    train = np.asarray(subject.images[[i for i, r in enumerate(subject.records) if r.split == "train"]])
    others = train[:: max(1, len(train) // len(drawn))][: len(drawn)]
    figures = {
        **subject.about(),
        "requests": REQUESTS,
        "each": each,
        "guidance": subject.bundle.manifest.decoding.draw.guidance,
        **figures_of(drawn, films, classifier, references),
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
        "ms_ssim_of_real_images": {label: similarity(films.of(label)) for label in labels if truth.count(label) > 1},
        # What drawings could reach at best: other real films, as many.
        "precision_recall_of_training_images": [
            precision_recall(features_of(real, reference), features_of(others, reference)) for reference in references
        ],
        "nearest_training_image": {
            "unit": "root mean square of grey levels at 64 px",
            "drawn": _summary(nearest(drawn, train)),
            "held_out": _summary(nearest(real, train)),
            "held_out_reconstructed": _summary(nearest(reconstructed, train)),
        },
    }
    if (index := subject.bundle.copies) is not None:
        figures["resemblance_to_training_images"] = resemblance(index, drawn, real)
    sheets = _sheets(drawn, real, reconstructed, truth, each)
    if scales:
        figures["by_guidance"] = sweep(subject, scales, each, films, classifier, references, seed)
        by_scale = {f"{figures['guidance']:g}": figures, **figures["by_guidance"]}
        sheets["guidance"] = plot(figures, dict(sorted(by_scale.items(), key=lambda item: float(item[0]))))
    return figures, sheets


def _sheets(
    drawn: np.ndarray, real: np.ndarray, reconstructed: np.ndarray, truth: Sequence[str], each: int
) -> dict[str, Image.Image]:
    labels = list(REQUESTS)
    sheet = np.concatenate([drawn[start : start + min(_SHOWN, each)] for start in range(0, len(drawn), each)])
    shown = [i for label in labels for i in [n for n, t in enumerate(truth) if t == label][:_CONTACTS]]
    chosen = [i * each + n for i, label in enumerate(labels) for n in range(min(_CONTACTS, each, truth.count(label)))]
    contact = np.concatenate([real[shown][: len(chosen)], reconstructed[shown][: len(chosen)], drawn[chosen]])
    return {"drawings": grid(sheet, min(_SHOWN, each)), "contact": grid(contact, len(chosen))}
