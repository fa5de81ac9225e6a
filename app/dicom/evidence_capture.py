"""A map of what a text depends on, over the radiograph: as a picture, and as a Secondary Capture in its study.

Viewers show a Secondary Capture everywhere; a Parametric Map few, and a presentation state has no place for numbers.
"""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset

from app.dicom.document import Draft
from app.dicom.report_capture import capture

DOCUMENT = "evidence"
STATEMENT = "AI MAP OF WHAT THE MODEL DEPENDS ON - NOT A FINDING - NOT FOR CLINICAL USE"
_DESCRIPTION = "AI map of model dependence - no finding"
_SIDE, _MARGIN, _SIZE, _LINE, _COLUMNS, _LINES = 768, 12, 16, 22, 88, 6
# PS3.5 6.2: the most characters of LT.
_LONG_TEXT = 10_240
# Of the colour where the weight is greatest.
_OPACITY = 0.55
_COLOUR = (255, 140, 0)


@dataclass(frozen=True)
class Overlay:
    """A radiograph as the model read it, uint8 (size, size), the weights of its codes, the text that they are of, and
    the log-probability of that by the whole image, in nats. `question` is what the text answers.
    """

    pixels: np.ndarray
    weights: Sequence[Sequence[float]]
    text: str
    log_probability: float
    model: str
    question: str = ""

    @property
    def said(self) -> str:
        """What the map is of, in words."""
        text = " ".join(self.text.split())
        asked = " ".join(self.question.split())
        answered = f' The answer to: "{asked}"' if asked else ""
        return f'Of: "{text}", log-probability {self.log_probability:.2f}.{answered}'


def picture(overlay: Overlay) -> np.ndarray:
    """The radiograph in grey, orange where the text depends on it, the more the stronger, below a line that says what
    it is: uint8 (rows, 768, 3).

    Weights below 0 are left out; the greatest is the strongest colour, however small it is, and is written down.
    """
    weights = np.clip(np.array(overlay.weights, np.float32), 0.0, None)
    most = float(weights.max())
    shares = Image.fromarray(weights / most if most > 0.0 else weights)
    alpha = _OPACITY * np.asarray(shares.resize((_SIDE, _SIDE), Image.Resampling.NEAREST))[..., None]
    grey = np.asarray(Image.fromarray(overlay.pixels).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), np.float32)
    mixed = (1.0 - alpha) * grey[..., None] + alpha * np.array(_COLOUR, np.float32)
    above = _strip([STATEMENT])
    said = textwrap.wrap(overlay.said, _COLUMNS)[:_LINES]
    strongest = f"strongest colour: {most:.2f} nats less log-probability" if most > 0.0 else "no region adds to it"
    below = _strip([*said, f"{overlay.model}; {strongest}"])
    return np.concatenate([above, np.rint(mixed).astype(np.uint8), below])


def _strip(lines: Sequence[str]) -> np.ndarray:
    """Lines of white text on black: uint8 (rows, 768, 3)."""
    image = Image.new("RGB", (_SIDE, 2 * _MARGIN + _LINE * len(lines)), 0)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(_SIZE)
    for row, line in enumerate(lines):
        pen.text((_MARGIN, _MARGIN + row * _LINE), line, fill=(255, 255, 255), font=font)
    return np.asarray(image)


def as_png(overlay: Overlay, notice: str) -> bytes:
    """The picture as PNG, which says in its metadata what it is."""
    told = PngInfo()
    told.add_itxt("Description", f"{STATEMENT}. {overlay.said}")
    told.add_itxt("Disclaimer", notice)
    told.add_itxt("Software", overlay.model)
    buffer = io.BytesIO()
    Image.fromarray(picture(overlay)).save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def evidence_capture(draft: Draft, overlay: Overlay) -> Dataset:
    """The picture as a Secondary Capture Image (PS3.3 A.8.1) in the source's study. Raises NotWritable."""
    dataset = capture(draft, DOCUMENT, picture(overlay), 9003, _DESCRIPTION)
    dataset.DerivationDescription = f"{STATEMENT}. Regions of the image were replaced one after another."
    # The letters of all languages, which the picture's font has not.
    dataset.ImageComments = overlay.said[:_LONG_TEXT]
    dataset.ContributingEquipmentSequence[0].ContributionDescription = "Map of the model's dependence on the image"
    # The radiograph's pixels are in it: what is burned into them is in it, too.
    burned = draft.source.get("BurnedInAnnotation")
    if burned in ("YES", "NO"):
        dataset.BurnedInAnnotation = burned
    else:
        del dataset.BurnedInAnnotation
    return dataset
