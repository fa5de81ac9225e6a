"""How well the watermark of drawings survives what happens to pictures, and how often it is seen where it is not."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from models.data.structure import structure
from models.evaluation.requests import drawn_codes
from models.evaluation.subject import Subject
from models.watermark import MARKED_BELOW, Watermark

_KEY = b"the key of an evaluation"
_KEYS = 200
_LEVELS = (1e-2, 1e-3, 1e-4, 1e-5, MARKED_BELOW)

Treatment = Callable[[np.ndarray], np.ndarray]


def _jpeg(quality: int) -> Treatment:
    def treated(image: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return treated


def _resized(share: float) -> Treatment:
    def treated(image: np.ndarray) -> np.ndarray:
        height, width = image.shape
        small = Image.fromarray(image).resize((round(width * share), round(height * share)), Image.Resampling.BICUBIC)
        return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))

    return treated


def _gamma(exponent: float) -> Treatment:
    return lambda image: np.round((image / 255.0) ** exponent * 255.0).astype(np.uint8)


def _cropped(share: float) -> Treatment:
    def treated(image: np.ndarray) -> np.ndarray:
        edge = round(image.shape[0] * share / 2)
        inner = Image.fromarray(image[edge:-edge, edge:-edge])
        return np.asarray(inner.resize(image.shape[::-1], Image.Resampling.BICUBIC))

    return treated


TREATMENTS: dict[str, Treatment] = {
    "as drawn": lambda image: image,
    "JPEG 90": _jpeg(90),
    "JPEG 75": _jpeg(75),
    "to twice the size and back": _resized(2.0),
    "to half the size and back": _resized(0.5),
    "gamma 1.1": _gamma(1.1),
    "10 grey levels brighter": lambda image: np.clip(image.astype(np.int16) + 10, 0, 255).astype(np.uint8),
    "moved by a pixel": lambda image: np.roll(image, 1, 1),
    "cropped by 2 %": _cropped(0.02),
}


def evaluate_watermark(subject: Subject, strengths: Sequence[float], each: int, seed: int = 0) -> dict[str, Any]:
    """At every strength the share of `each` drawings a request that is found after each treatment, encoded again, and
    their structure over that of unmarked ones; false alarms on the split's films over many keys.
    """
    size = subject.bundle.vocabulary.codebook_size
    plain = structure(subject.decode(drawn_codes(subject, each, seed))).mean()
    by_strength = {}
    for strength in strengths:
        mark = Watermark(_KEY, strength)
        codes = drawn_codes(subject, each, seed, watermark=mark)
        images = subject.decode(codes)
        found = {"codes themselves": _summary(mark, codes, size)}
        for name, treated in TREATMENTS.items():
            again = np.concatenate([subject.encode(treated(image)[None]) for image in images])
            found[name] = _summary(mark, again, size)
        by_strength[f"{strength:g}"] = {
            "structure_over_unmarked": round(float(structure(images).mean() / plain), 3),
            "after": found,
        }
    return {
        **subject.about(),
        "threshold": MARKED_BELOW,
        "drawings": each * 3,
        "by_strength": by_strength,
        "false_alarms": _false_alarms(subject.codes[subject.rows], size),
    }


def _summary(mark: Watermark, codes: np.ndarray, size: int) -> dict[str, float]:
    detections = [mark.detect(row, size) for row in codes.astype(np.int64)]
    values = np.array([one.p_value for one in detections])
    return {
        "found": round(float((values < MARKED_BELOW).mean()), 3),
        "median_p_value": float(f"{np.median(values):.2g}"),
        "green": round(float(np.mean([one.green / one.codes for one in detections])), 3),
    }


def _false_alarms(codes: np.ndarray, size: int) -> dict[str, Any]:
    """Of real films' codes (N, grid), each looked at for many keys: the share of p-values below some levels."""
    values = np.array(
        [
            Watermark(number.to_bytes(16, "big"), 0.0).detect(film, size).p_value
            for number in range(_KEYS)
            for film in codes.astype(np.int64)
        ]
    )
    return {
        "films": len(codes),
        "keys": _KEYS,
        "below": {f"{level:g}": float(f"{(values < level).mean():.2g}") for level in _LEVELS},
    }
