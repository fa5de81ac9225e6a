"""What tells a ghost from a film without any classifier: contrast of neighbours, spread over films, power spectrum."""

import numpy as np

# Averaged to this side, an image keeps ribs and vessels and loses what the image tokenizer blurs anyway.
_SIDE = 64
# Spatial frequencies as shares of Nyquist's: an octave each.
BANDS = ((0.0625, 0.125), (0.125, 0.25), (0.25, 0.5), (0.5, 1.0))


def averaged(images: np.ndarray, side: int = _SIDE) -> np.ndarray:
    """Images uint8 (N, H, W) averaged over squares to `side`: float32 (N, side, side), grey levels.

    Images smaller than `side` stay as they are; H and W are multiples of it otherwise.
    """
    factor = max(1, images.shape[1] // side)
    kept = images.shape[1] // factor
    squares = images[:, : kept * factor, : kept * factor].reshape(len(images), kept, factor, kept, factor)
    return np.asarray(squares.mean((2, 4), dtype=np.float32))


def structure(images: np.ndarray) -> np.ndarray:
    """Mean absolute difference of neighbours at 64 px, in grey levels, of every image: (N,). Low in fog."""
    small = averaged(images)
    across, down = np.abs(np.diff(small, axis=2)).mean((1, 2)), np.abs(np.diff(small, axis=1)).mean((1, 2))
    return np.asarray((across + down) / 2)


def spread(images: np.ndarray) -> float:
    """Standard deviation over the images, mean over the pixels at 64 px, in grey levels. Low where all are alike."""
    return float(averaged(images).std(0).mean())


def spectrum(images: np.ndarray) -> np.ndarray:
    """Mean power in each of `BANDS` of every image (N, H, W), grey levels: (N, bands). Blur is low in upper bands."""
    side = images.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side) * 2, np.fft.fftfreq(side) * 2))
    rings = [(frequency >= low) & (frequency < high) for low, high in BANDS]
    powers = []
    for image in images:
        power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2 / side**2
        powers.append([power[ring].mean() for ring in rings])
    return np.array(powers)
