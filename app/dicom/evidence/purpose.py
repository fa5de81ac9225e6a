"""What an image was made for: to be read by people, to be processed further, or to check a device."""

import re
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from app.dicom.evidence.codes import codes_of
from app.dicom.evidence.words import folded
from app.dicom.values import prose_of, text_of, texts_of

_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "StudyDescription", "BodyPartExamined")
KEYWORDS = (
    "SOPClassUID", "ImageType", "PresentationIntentType", "QualityControlImage", "CalibrationImage",
    "BurnedInAnnotation", "AnatomicRegionSequence", *_DESCRIPTIONS,
)  # fmt: skip
# PS3.16 CID 4031: Phantom.
_PHANTOM_CODES = frozenset({"706342009", "R-FE0C7"})
# Phantom pain is a patient's.
_DEVICE = re.compile(
    r"\b(?:phantoms?(?! (?:limb|pain|sensation|schmerz\w*))|phantomaufnahme\w*|fantomes?|fantomas?|fantoccio"
    r"|(?:flat|dark) ?fields?|quality (?:control|assurance)"
    r"|konstanz(?:prufung|aufnahme)\w*|tor cd[rd]|controle qualite|control de calidad"
    r"|(?:detector|detektor|device) (?:calibration|kalibrierung)|test ?(?:pattern|image|bild)|abnahmeprufung)\b"
)


@dataclass(frozen=True)
class Purpose:
    """`checks_device` is the keyword of what says that it shows no patient, None where nothing does.

    `original` is False for derived or secondary images, None where Image Type (PS3.3 C.7.6.1.1.2) says nothing.
    """

    for_processing: bool = False
    checks_device: str | None = None
    original: bool | None = None
    secondary: bool = False
    annotated: bool = False


def purpose_of(dataset: Dataset) -> Purpose:
    """What the image was made for."""
    kind = [value.upper() for value in texts_of(dataset, "ImageType")]
    intent = (text_of(dataset, "PresentationIntentType") or "").upper()
    derived, secondary = "DERIVED" in kind[:1], "SECONDARY" in kind[1:2]
    return Purpose(
        for_processing=intent == "FOR PROCESSING"
        or text_of(dataset, "SOPClassUID") == DigitalXRayImageStorageForProcessing,
        checks_device=_checks_device(dataset, kind),
        original=False if derived or secondary else "ORIGINAL" in kind[:1] or None,
        secondary=secondary,
        annotated=_is_yes(dataset, "BurnedInAnnotation"),
    )


def _is_yes(dataset: Dataset, keyword: str) -> bool:
    return (text_of(dataset, keyword) or "").upper() == "YES"


def _checks_device(dataset: Dataset, kind: list[str]) -> str | None:
    for keyword in ("QualityControlImage", "CalibrationImage"):
        if _is_yes(dataset, keyword):
            return keyword
    if any(_DEVICE.search(folded(value)) or value == "CALIBRATION" for value in kind[2:]):
        return "ImageType"
    if any(code.value in _PHANTOM_CODES for code in codes_of(dataset, "AnatomicRegionSequence")):
        return "AnatomicRegionSequence"
    return next((keyword for keyword in _DESCRIPTIONS if _DEVICE.search(folded(prose_of(dataset, keyword)))), None)
