"""Drawn pages and screens: print, windows, tables, charts, handwriting, and viewers with small films in them."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.data.strangers.textures import Grey

_LETTERS = np.array(list("abcdefghijklmnoprstuvwyABCDEFGHIKLMNOPRSTUW0123456789.,:-"))
_FINE = 2


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)


def words(rng: np.random.Generator, count: int) -> str:
    """Words of random letters."""
    return " ".join("".join(rng.choice(_LETTERS, rng.integers(1, 11))) for _ in range(count))


def _levels(rng: np.random.Generator) -> tuple[int, int]:
    """Paper and ink."""
    paper, ink = int(rng.integers(170, 256)), int(rng.integers(0, 100))
    return (ink, paper) if rng.random() < 0.35 else (paper, ink)


def _finished(picture: Image.Image, side: int) -> Grey:
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def text(rng: np.random.Generator, side: int) -> Grey:
    """A page of print: paragraphs, headings, sometimes columns or few large words."""
    fine = side * _FINE
    paper, ink = _levels(rng)
    picture = Image.new("L", (fine, fine), paper)
    pen = ImageDraw.Draw(picture)
    size, top = int(np.exp(rng.uniform(np.log(6), np.log(60)))), rng.uniform(-0.1, 0.3) * fine
    left = rng.uniform(0, 0.2) * fine
    while top < fine * rng.uniform(0.5, 1.3):
        pen.text((left, top), words(rng, int(rng.integers(1, 3 + fine // (3 * size)))), ink, font(size))
        top += size * rng.uniform(1.0, 2.2)
    return _finished(picture, side)


def window(rng: np.random.Generator, side: int) -> Grey:
    """A program's window: bars, panels, buttons, lists."""
    fine = side * _FINE
    picture = Image.new("L", (fine, fine), int(rng.integers(0, 256)))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 9)):
        left, top = rng.uniform(-0.1, 0.8, 2) * fine
        right, bottom = left + rng.uniform(0.1, 1) * fine, top + rng.uniform(0.05, 0.7) * fine
        pen.rectangle((left, top, right, bottom), int(rng.integers(0, 256)), int(rng.integers(0, 256)))
        size, line, ink = int(rng.integers(6, 16)), top + 2, int(rng.integers(0, 256))
        while line < bottom - size and rng.random() < 0.93:
            pen.text((left + 3, line), words(rng, int(rng.integers(1, 4))), ink, font(size))
            line += size * rng.uniform(1.2, 2)
    pen.rectangle((0, 0, fine, rng.uniform(0.03, 0.12) * fine), int(rng.integers(0, 256)))
    return _finished(picture, side)


def viewer(rng: np.random.Generator, side: int, films: np.ndarray) -> Grey:
    """A window with one or more small films in it, none of which takes a third of the picture."""
    picture = Image.fromarray(window(rng, side))
    across = int(rng.integers(1, 4))
    if across == 1:
        small = int(rng.uniform(0.25, 0.55) * side)
        corners = [tuple((rng.uniform(0, 1, 2) * (side - small)).astype(int).tolist())]
    else:
        small = side // across - int(rng.integers(1, 6))
        corners = [(column * side // across, row * side // across) for row in range(across) for column in range(across)]
        corners = corners[: int(rng.integers(2, len(corners) + 1))]
    for corner in corners:
        film = Image.fromarray(films[rng.integers(len(films))])
        picture.paste(film.resize((small, small), Image.Resampling.BOX), corner)
    return np.asarray(picture)


def pair(rng: np.random.Generator, side: int, films: np.ndarray) -> Grey:
    """Two films side by side or above each other: both in whole, or the middle of them, as cropping leaves it."""
    first, second = (
        Image.fromarray(films[row]).resize((side, side), Image.Resampling.BOX)
        for row in rng.integers(len(films), size=2)
    )
    gap = int(rng.uniform(0, 0.06) * side)
    both = Image.new("L", (2 * side + gap, side), int(rng.choice([0, 0, 255])))
    both.paste(first, (0, 0))
    both.paste(second, (side + gap, 0))
    if rng.random() < 0.5:
        left = (both.width - side) // 2 + int(rng.uniform(-0.1, 0.1) * side)
        found = both.crop((left, 0, left + side, side))
    else:
        high = int(rng.uniform(0.5, 1.0) * side)
        found = Image.new("L", (side, side))
        found.paste(both.resize((side, high), Image.Resampling.BOX), (0, (side - high) // 2))
    return np.asarray(found.rotate(90) if rng.random() < 0.3 else found)


def scrambled(rng: np.random.Generator, side: int, films: np.ndarray) -> Grey:
    """A film in pieces that were exchanged, or noise with a film's own spectrum."""
    film = np.asarray(Image.fromarray(films[rng.integers(len(films))]).resize((side, side), Image.Resampling.BOX))
    if rng.random() < 0.4:
        phases = np.fft.rfft2(rng.normal(size=(side, side)))
        found = np.fft.irfft2(np.abs(np.fft.rfft2(film)) * phases / (np.abs(phases) + 1e-9), (side, side))
        return np.asarray(np.clip(found, 0, 255).astype(np.uint8))
    count = int(rng.integers(3, 7))
    step = side // count
    pieces = [
        film[row * step : (row + 1) * step, column * step : (column + 1) * step]
        for row in range(count)
        for column in range(count)
    ]
    order = rng.permutation(len(pieces))
    rows = [np.hstack([pieces[order[row * count + column]] for column in range(count)]) for row in range(count)]
    return np.asarray(Image.fromarray(np.vstack(rows)).resize((side, side)))


def table(rng: np.random.Generator, side: int) -> Grey:
    """A sheet of numbers between lines."""
    fine = side * _FINE
    paper, ink = _levels(rng)
    picture = Image.new("L", (fine, fine), paper)
    pen = ImageDraw.Draw(picture)
    across, down, size = int(rng.integers(3, 9)), int(rng.integers(5, 20)), int(rng.integers(7, 13))
    for row in range(down):
        pen.line((0, row * fine / down, fine, row * fine / down), ink)
        for column in range(across):
            pen.text((column * fine / across + 2, row * fine / down + 1), str(rng.integers(0, 9999)), ink, font(size))
    for column in range(across):
        pen.line((column * fine / across, 0, column * fine / across, fine), ink)
    return _finished(picture, side)


def chart(rng: np.random.Generator, side: int) -> Grey:
    """Curves or bars between axes."""
    fine = side * _FINE
    paper, ink = _levels(rng)
    picture = Image.new("L", (fine, fine), paper)
    pen = ImageDraw.Draw(picture)
    edge = 0.1 * fine
    pen.rectangle((edge, edge, fine - edge, fine - edge), outline=ink)
    pen.text((0.3 * fine, 2), words(rng, 3), ink, font(12))
    count = int(rng.integers(4, 40))
    columns = np.linspace(edge, fine - edge, count)
    for _ in range(rng.integers(1, 5)):
        heights = np.clip(np.cumsum(rng.normal(size=count)) * 0.1 + rng.uniform(0.2, 0.8), 0, 1)
        rows = fine - edge - heights * (fine - 2 * edge)
        if rng.random() < 0.3:
            for column, row in zip(columns, rows, strict=True):
                pen.rectangle((column, row, column + fine / count / 2, fine - edge), int(rng.integers(0, 256)))
        else:
            pen.line(list(zip(columns.tolist(), rows.tolist(), strict=True)), ink, int(rng.integers(1, 5)))
    return _finished(picture, side)


def handwriting(rng: np.random.Generator, side: int) -> Grey:
    """Lines of loops."""
    fine = side * _FINE
    paper, ink = _levels(rng)
    picture = Image.new("L", (fine, fine), paper)
    pen = ImageDraw.Draw(picture)
    pitch, width = rng.uniform(0.06, 0.2) * fine, int(rng.integers(1, 5))
    for top in np.arange(pitch, fine, pitch):
        time = np.arange(0, 60, 0.15)
        waves = rng.normal(size=(2, 4)) / 4
        down = sum(wave * np.sin(time * (k + 1.3) + wave * 9) for k, wave in enumerate(waves[0]))
        across = sum(wave * np.cos(time * (k + 1.1) + wave * 9) for k, wave in enumerate(waves[1]))
        points = np.stack([time / 60 * fine + across * pitch / 2, top + down * pitch / 2], 1)
        pen.line([tuple(point) for point in points.tolist()], ink, width)
    return _finished(picture, side)
