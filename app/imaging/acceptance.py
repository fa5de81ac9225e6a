"""Which DICOM instances are usable frontal chest radiographs, and in which words the others are refused."""

import re

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from app.errors import UnusableImage
from app.imaging.radiograph import DicomFacts
from app.settings import ImagingSettings

_RADIOGRAPHY = {"CR", "DX"}
# Digitised film and exported images name no projection modality; the body part has to say what they show.
_CARRIERS = {"OT", "RG", "SC"}
_CHEST = ("CHEST", "THORAX", "LUNG", "PULMONARY", "TORAX")
_SIDEWAYS = ("LL", "RL", "LAT", "LLD", "RLD", "OBL", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO")
# PS3.16 CID 4010 DX View: SNOMED and legacy codes of the lateral projections.
_LATERAL_CODES = {"R-10232", "R-10234", "R-10236", "R-10238", "399067008", "399173006", "399198007", "399182000"}
_TERM = re.compile(r"[^A-Z0-9 _/-]")


def text_of(dataset: Dataset, keyword: str) -> str | None:
    """A value as text, None where absent, empty or unreadable; the first of several."""
    try:
        value = dataset.get(keyword)
        if value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        text = "" if value is None else str(value).strip()
    except Exception:  # a value that its VR cannot hold: pydicom raises many kinds
        return None
    return text or None


def number_of(dataset: Dataset, keyword: str) -> int:
    """A value as a whole number, 0 where absent or unreadable."""
    try:
        return int(float(text_of(dataset, keyword) or 0))
    except (ValueError, OverflowError):
        return 0


def _term(value: str) -> str:
    """A coded term safe to repeat to the client: short, capitals, digits."""
    return _TERM.sub("", value.upper())[:32].strip()


def facts_of(dataset: Dataset, transfer_syntax: str | None) -> DicomFacts:
    """What the instance is."""
    return DicomFacts(
        sop_class_uid=text_of(dataset, "SOPClassUID"),
        sop_instance_uid=text_of(dataset, "SOPInstanceUID"),
        study_instance_uid=text_of(dataset, "StudyInstanceUID"),
        series_instance_uid=text_of(dataset, "SeriesInstanceUID"),
        modality=text_of(dataset, "Modality"),
        body_part=text_of(dataset, "BodyPartExamined"),
        view=text_of(dataset, "ViewPosition"),
        photometric_interpretation=text_of(dataset, "PhotometricInterpretation"),
        transfer_syntax_uid=transfer_syntax,
    )


def _is_chest(text: str) -> bool:
    return any(word in text.upper() for word in _CHEST)


def _coded(dataset: Dataset, keyword: str) -> list[tuple[str, str]]:
    """Value and meaning of every item of a code sequence."""
    try:
        items = list(dataset.get(keyword) or [])
    except Exception:  # as in text_of
        return []
    return [(text_of(item, "CodeValue") or "", text_of(item, "CodeMeaning") or "") for item in items]


def accept(dataset: Dataset, facts: DicomFacts, limits: ImagingSettings) -> list[str]:
    """Check that the instance is a usable frontal chest radiograph; returns warnings.

    Raises UnusableImage naming the most telling reason first: what it is, then what it shows, then its size.
    """
    warnings: list[str] = []
    _check_kind(dataset, facts)
    _check_anatomy(dataset, facts, warnings)
    _check_view(dataset, facts, warnings)
    _check_frame(dataset, limits)
    return warnings


def _check_kind(dataset: Dataset, facts: DicomFacts) -> None:
    modality = (facts.modality or "").upper()
    capture = facts.sop_class_uid == SecondaryCaptureImageStorage or modality in _CARRIERS
    chest = facts.body_part is not None and _is_chest(facts.body_part)
    if modality not in _RADIOGRAPHY and not (capture and chest):
        if not _has_pixels(dataset) and not modality:
            raise UnusableImage("The DICOM instance holds no image.", code="no_pixels")
        found = _term(modality) or "none"
        raise UnusableImage(
            f"The modality is {found}; a chest radiograph has CR or DX, or OT with body part CHEST.",
            code="wrong_modality",
        )


def _check_anatomy(dataset: Dataset, facts: DicomFacts, warnings: list[str]) -> None:
    regions = [meaning for _, meaning in _coded(dataset, "AnatomicRegionSequence") if meaning]
    named = [facts.body_part] if facts.body_part else regions
    if not named:
        warnings.append("The body part is not stated; it was taken to be the chest.")
    elif not any(_is_chest(name) for name in named):
        raise UnusableImage(f"The body part is {_term(named[0])}, not the chest.", code="not_chest")


def _check_view(dataset: Dataset, facts: DicomFacts, warnings: list[str]) -> None:
    views = _coded(dataset, "ViewCodeSequence")
    sideways = any(
        code in _LATERAL_CODES or "lateral" in meaning.lower() or "oblique" in meaning.lower()
        for code, meaning in views
        if "antero" not in meaning.lower() and "postero" not in meaning.lower()
    )
    position = (facts.view or "").upper()
    if sideways or position in _SIDEWAYS or position.startswith(("LAT", "OBL")) or "LATERAL" in position:
        raise UnusableImage(f"The view is {_term(position) or 'lateral'}, not frontal (PA or AP).", code="not_frontal")
    if not position and not views:
        warnings.append("The view is not stated; it was taken to be frontal.")


def _has_pixels(dataset: Dataset) -> bool:
    return any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


def _check_frame(dataset: Dataset, limits: ImagingSettings) -> None:
    if not _has_pixels(dataset):
        raise UnusableImage("The DICOM instance holds no pixel data.", code="no_pixels")
    frames = number_of(dataset, "NumberOfFrames")
    if frames > 1:
        raise UnusableImage(f"The image has {frames} frames; a radiograph has one.", code="multi_frame")
    check_size(number_of(dataset, "Columns"), number_of(dataset, "Rows"), limits)


def check_size(width: int, height: int, limits: ImagingSettings) -> None:
    """Refuse images too small to show anything or too large to decode. Raises UnusableImage."""
    if min(width, height) < limits.min_side:
        raise UnusableImage(
            f"The image is {width} x {height} pixels; the short side needs {limits.min_side}.", code="too_small"
        )
    if width * height > limits.max_pixels:
        raise UnusableImage(
            f"The image is {width} x {height} pixels; at most {limits.max_pixels // 1_000_000} million are decoded.",
            code="too_many_pixels",
        )
