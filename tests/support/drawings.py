"""Drawings in answers."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image


def picture(answer: Mapping[str, Any]) -> Image.Image:
    """The first drawing of an answer."""
    return Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"])))


def pixels(answer: Mapping[str, Any]) -> bytes:
    """Its pixels: the file holds a signature, which has its time."""
    with picture(answer) as image:
        return image.tobytes()
