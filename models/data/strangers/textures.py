"""Drawn pictures without a meaning: noise of many spectra, gradients, stripes, shapes, tiles, cells, fractals."""

import numpy as np
from PIL import Image, ImageDraw

Grey = np.ndarray


def stretched(values: np.ndarray, rng: np.random.Generator) -> Grey:
    """Values of any range as grey levels between two levels that `rng` draws: uint8."""
    low, high = np.sort(rng.uniform(0, 255, 2))
    if high - low < 60:
        low, high = max(0.0, low - 60), min(255.0, high + 60)
    spread = float(values.max() - values.min()) or 1.0
    found = low + (values - values.min()) / spread * (high - low)
    return np.asarray(np.clip(found, 0, 255).astype(np.uint8))


def places(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels, from -1 to 1."""
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return rows, columns


def noise(rng: np.random.Generator, side: int) -> Grey:
    """Noise whose power falls with a power of the frequency, stretched in one direction, of any distribution."""
    across = np.fft.rfftfreq(side) * rng.uniform(0.3, 3)
    down = np.fft.fftfreq(side)[:, None]
    frequency = np.maximum(np.hypot(across, down), 1 / side)
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) * frequency ** -rng.uniform(0, 2.2)
    found = np.fft.irfft2(spectrum, (side, side))
    found = (found - found.mean()) / (found.std() + 1e-9)
    return stretched(np.tanh(found * rng.uniform(0.3, 2)), rng)


def gradient(rng: np.random.Generator, side: int) -> Grey:
    """A linear, radial or blotchy gradient, often with noise."""
    rows, columns = places(side)
    found = rng.normal() * rows + rng.normal() * columns
    for _ in range(rng.integers(0, 6)):
        row, column = rng.uniform(-1, 1, 2)
        wide, high = rng.uniform(0.1, 1.2, 2)
        found = found + rng.normal(0, 2) * np.exp(-(((rows - row) / high) ** 2) - ((columns - column) / wide) ** 2)
    return stretched(found + rng.normal(size=found.shape) * rng.choice([0, 0.02, 0.15]), rng)


def blank(rng: np.random.Generator, side: int) -> Grey:
    """One grey level with some noise, a vignette or a frame."""
    rows, columns = places(side)
    found = rng.uniform(0, 255) + rng.normal(size=(side, side)) * rng.choice([0, 1, 4, 15])
    found = found - rng.choice([0, 30, 120]) * np.hypot(rows, columns)
    if rng.random() < 0.5:
        edge = int(rng.integers(1, side // 4))
        frame = np.full((side, side), rng.uniform(0, 255))
        frame[edge:-edge, edge:-edge] = found[edge:-edge, edge:-edge]
        found = frame
    return np.asarray(np.clip(found, 0, 255).astype(np.uint8))


def stripes(rng: np.random.Generator, side: int) -> Grey:
    """One to three gratings of any direction, frequency and sharpness."""
    rows, columns = places(side)
    found = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        angle, frequency = rng.uniform(0, np.pi), np.exp(rng.uniform(0.5, 4))
        wave = np.sin(frequency * (np.cos(angle) * rows + np.sin(angle) * columns) + rng.uniform(0, 6))
        found = found + np.tanh(wave * np.exp(rng.uniform(-1, 3)))
    return stretched(found, rng)


def shapes(rng: np.random.Generator, side: int) -> Grey:
    """Ellipses, boxes, polygons and lines over each other."""
    picture = Image.new("L", (side, side), int(rng.integers(0, 256)))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, 25)):
        grey, corners = int(rng.integers(0, 256)), rng.uniform(-0.2, 1.2, (3, 2)) * side
        left, top = corners[:2].min(0)
        right, bottom = corners[:2].max(0)
        match rng.integers(0, 4):
            case 0:
                pen.ellipse((left, top, right, bottom), fill=grey)
            case 1:
                pen.rectangle((left, top, right, bottom), fill=grey)
            case 2:
                pen.polygon([tuple(corner) for corner in corners.tolist()], fill=grey)
            case _:
                pen.line([tuple(corner) for corner in corners[:2].tolist()], fill=grey, width=int(rng.integers(1, 9)))
    return np.asarray(picture)


def code(rng: np.random.Generator, side: int) -> Grey:
    """Modules of two grey levels, as a printed code has them, with a margin."""
    count, margin = int(rng.integers(9, 60)), int(rng.integers(0, 5))
    modules = np.pad(rng.random((count, count)) < rng.uniform(0.3, 0.7), margin, constant_values=True)
    if rng.random() < 0.2:
        modules[:] = modules[margin : margin + 1]
    picture = Image.fromarray((modules * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
    return stretched(np.asarray(picture, np.float32), rng)


def board(rng: np.random.Generator, side: int) -> Grey:
    """A checkerboard, turned and seen from anywhere."""
    rows, columns = places(side)
    angle, scale = rng.uniform(0, np.pi), rng.uniform(2, 14)
    first = np.floor(scale * (np.cos(angle) * rows + np.sin(angle) * columns) / (1 + rng.uniform(0, 0.4) * rows))
    second = np.floor(scale * (np.cos(angle) * columns - np.sin(angle) * rows))
    return stretched((first + second) % 2, rng)


def cells(rng: np.random.Generator, side: int) -> Grey:
    """Cells around random points, flat or by distance."""
    rows, columns = places(side)
    points = rng.uniform(-1, 1, (int(rng.integers(5, 80)), 2))
    distances = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    if rng.random() < 0.5:
        return stretched(np.sqrt(distances.min(-1)), rng)
    return stretched(rng.random(len(points))[distances.argmin(-1)], rng)


def rings(rng: np.random.Generator, side: int) -> Grey:
    """Rings or a spiral around any point."""
    rows, columns = places(side)
    row, column = rng.uniform(-0.7, 0.7, 2)
    radius, angle = np.hypot(rows - row, columns - column), np.arctan2(rows - row, columns - column)
    return stretched(np.sin(radius * rng.uniform(5, 60) + angle * rng.integers(0, 6)), rng)


def fractal(rng: np.random.Generator, side: int) -> Grey:
    """A Julia set."""
    rows, columns = places(side)
    point, constant = (columns + 1j * rows) * rng.uniform(0.6, 1.6), 0.75 * np.exp(1j * rng.uniform(0, 2 * np.pi))
    steps = np.zeros((side, side))
    for _ in range(24):
        point = np.where(np.abs(point) < 4, point**2 + constant, point)
        steps += np.abs(point) < 4
    return stretched(steps, rng)
