"""Which DICOM instances are usable frontal chest radiographs, and in which words the others are refused."""

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from app.dicom.evidence import HeaderEvidence, refusal_of, warnings_of
from app.dicom.evidence.words import term
from app.dicom.values import number_of, text_of
from app.errors import UnusableImage
from app.imaging.radiograph import DicomFacts
from app.settings import ImagingSettings

_RADIOGRAPHY = {"CR", "DX"}
# Digitised film and exported images name no projection modality; a coded body part has to say what they show. A
# description does not: captures of results have their study's.
_CARRIERS = {"OT", "RG", "SC"}


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


def accept(dataset: Dataset, facts: DicomFacts, evidence: HeaderEvidence, limits: ImagingSettings) -> list[str]:
    """Check that the instance is a usable frontal chest radiograph; returns warnings.

    Raises UnusableImage naming the most telling reason first: what it is, then what it shows, then its size.
    """
    _check_kind(dataset, facts, evidence)
    refusal = refusal_of(evidence)
    if refusal is not None:
        raise UnusableImage(refusal.detail, code=refusal.code)
    _check_frame(dataset, limits)
    return warnings_of(evidence)


def _check_kind(dataset: Dataset, facts: DicomFacts, evidence: HeaderEvidence) -> None:
    modality = (facts.modality or "").upper()
    capture = facts.sop_class_uid == SecondaryCaptureImageStorage or modality in _CARRIERS
    chest = evidence.anatomy.kind == "chest" and evidence.anatomy.stated
    if modality not in _RADIOGRAPHY and not (capture and chest):
        if not _has_pixels(dataset) and not modality:
            raise UnusableImage("The DICOM instance holds no image.", code="no_pixels")
        found = term(modality) or "none"
        raise UnusableImage(
            f"The modality is {found}; a chest radiograph has CR or DX, or OT with body part CHEST.",
            code="wrong_modality",
        )


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
