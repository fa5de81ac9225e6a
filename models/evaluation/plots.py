"""Plots as pictures. Matplotlib comes with an extra, and takes a second to import."""

import importlib.util
import io
from typing import Any

from PIL import Image

from models.data.dataset import DataError


def check_matplotlib() -> None:
    """Raises DataError where Matplotlib is not installed: before anything is measured, not after."""
    if importlib.util.find_spec("matplotlib") is None:
        raise DataError("a plot needs matplotlib, which the extra `bench` has; install it")


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches, which `as_image` makes a picture of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def as_image(figure: Any) -> Image.Image:
    """The figure as RGB."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    with Image.open(buffer) as image:
        return image.convert("RGB")
