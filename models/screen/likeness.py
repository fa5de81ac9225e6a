"""How a picture compares with the films of a bundle's own image tokenizer, without any training on other pictures.

A VQ-GAN that was trained on chest radiographs keeps their broad light and dark and loses that of other pictures, which
also take few different codes where they are smooth or repeat themselves. A language model that was trained on the codes
of radiographs finds those of another picture unlikely, and those of a radiograph that lies wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Cycles a pixel are at most a half (Nyquist). Below this share of it lie the lungs, the heart and the shoulders.
_LOW_BAND = 0.06


@dataclass(frozen=True)
class Likeness:
    """Measures of one picture: the error of its reconstruction below 0.06 of Nyquist over its own power there, the mean
    squared error in grey levels squared, how many different codes it takes, and the mean logarithm of the probability
    that the language model gives each code after those before it.
    """

    low_band_error: float
    squared_error: float
    distinct_codes: float
    log_likelihood: float

    @classmethod
    def of(
        cls, pixels: np.ndarray, reconstruction: np.ndarray, codes: Sequence[int], log_likelihood: float
    ) -> "Likeness":
        """The measures of pixels and their reconstruction, both uint8 (H, W)."""
        picture, made = pixels.astype(np.float64), reconstruction.astype(np.float64)
        band = _band(*picture.shape)
        power = np.abs(np.fft.rfft2(picture - picture.mean())) ** 2
        lost = np.abs(np.fft.rfft2(picture - made)) ** 2
        # One grey value has no power: what is lost then is all that counts.
        error = float(lost[band].sum() / max(float(power[band].sum()), 1.0))
        return cls(error, float(((picture - made) ** 2).mean()), float(len(set(codes))), log_likelihood)


def _band(height: int, width: int) -> np.ndarray:
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    inside: np.ndarray = np.hypot(rows[:, None], columns[None]) < _LOW_BAND / 2
    return inside
