"""Drawings at several scales of guidance, measured alike: how far does more of it help?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from models.classifier import Classifier
from models.data.structure import spectrum, spread, structure
from models.evaluation.plots import as_image, new_figure
from models.evaluation.precision_recall import features_of, precision_recall
from models.evaluation.reconstruction import distances
from models.evaluation.requests import REQUESTS, drawings_of, judged, similarity
from models.evaluation.statistics import accuracy, interval, scored
from models.evaluation.subject import Subject


@dataclass(frozen=True)
class RealFilms:
    """Held-out films, uint8 (N, H, W), and the label of each."""

    images: np.ndarray
    labels: Sequence[str]

    def of(self, label: str) -> np.ndarray:
        """Those of one label."""
        return self.images[[one == label for one in self.labels]]


def likeness(real: np.ndarray, made: np.ndarray) -> dict[str, Any]:
    """Structure, spread and power spectrum of made images over those of real ones of the same kind: 1 is alike."""
    powers = spectrum(made).mean(0) / spectrum(real).mean(0)
    return {
        "structure": round(float(structure(made).mean() / structure(real).mean()), 3),
        "spread": round(spread(made) / spread(real), 3),
        "power_by_octave": [round(float(value), 3) for value in powers],
    }


def figures_of(drawn: np.ndarray, real: RealFilms, judge: Classifier, references: Sequence[str]) -> dict[str, Any]:
    """Figures of drawings, uint8 (labels x each, H, W), those of a label side by side, beside real films."""
    labels, each = list(REQUESTS), len(drawn) // len(REQUESTS)
    wanted = [label for label in labels for _ in range(each)]
    found = judged(judge, drawn, labels)
    rows = {label: slice(number * each, (number + 1) * each) for number, label in enumerate(labels)}
    known = [label for label in labels if len(real.of(label)) > 1]
    return {
        "label_agreement": scored(accuracy, wanted, found),
        "agreement_by_request": {label: round(accuracy(wanted[at], found[at]), 3) for label, at in rows.items()},
        "agreement_intervals": {label: interval(accuracy, wanted[at], found[at]) for label, at in rows.items()},
        "ms_ssim_within_request": {label: similarity(drawn[at]) for label, at in rows.items()},
        "likeness_to_real_images": {label: likeness(real.of(label), drawn[rows[label]]) for label in known},
        "distances": [
            distances(real.images, drawn, reference)
            | precision_recall(features_of(real.images, reference), features_of(drawn, reference))
            for reference in references
        ],
    }


def sweep(
    subject: Subject,
    scales: Sequence[float],
    each: int,
    real: RealFilms,
    judge: Classifier,
    references: Sequence[str],
    seed: int = 0,
) -> dict[str, Any]:
    """The same figures of `each` drawings a request at every scale, of the same seed, by the scale."""
    return {
        f"{scale:g}": figures_of(drawings_of(subject, each, seed, scale), real, judge, references) for scale in scales
    }


def plot(figures: dict[str, Any], by_scale: dict[str, Any]) -> Image.Image:
    """Label agreement over the scale, by request, with the judge's agreement with real films as dotted lines."""
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    scales = [float(scale) for scale in by_scale]
    for label in REQUESTS:
        values = np.array([one["agreement_by_request"][label] for one in by_scale.values()])
        bounds = np.array([one["agreement_intervals"][label] for one in by_scale.values()])
        (line,) = axes.plot(scales, values, marker="o", label=label)
        axes.fill_between(scales, bounds[:, 0], bounds[:, 1], color=line.get_color(), alpha=0.12)
        real = figures["judge_on_real_images"]["by_label"].get(label)
        if real is not None:
            axes.axhline(real, color=line.get_color(), linestyle=":", linewidth=1)
    axes.set_xlabel("guidance scale")
    axes.set_ylabel("drawings that the judge calls what was asked for")
    axes.set_ylim(0.0, 1.02)
    axes.set_xticks(scales)
    axes.legend(title="dotted: the judge on real films")
    return as_image(figure)
