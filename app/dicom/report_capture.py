"""A draft report as a picture in a Secondary Capture, for viewers that show no structured reports."""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from app.dicom.document import Draft, document_header, evidence, referenced_instance

DOCUMENT = "capture"
_WIDTH, _MARGIN, _SIZE, _LINE = 1024, 48, 24, 34
_COLUMNS, _LINES = 74, 60
_BANNER = "AI DRAFT - UNVERIFIED - NOT FOR CLINICAL USE"


def picture(draft: Draft) -> np.ndarray:
    """The report as white text on black: uint8 (rows, 1024). No patient's identity is in it."""
    lines = [_BANNER if not draft.warnings else f"{_BANNER} - WARNINGS: {len(draft.warnings)}"]
    for warning in draft.warnings:
        lines += textwrap.wrap(f"WARNING: {warning}", _COLUMNS)
    lines.append("")
    for paragraph in draft.text.splitlines():
        lines += textwrap.wrap(paragraph, _COLUMNS) or [""]
    lines = [*lines[:_LINES], "", f"Model {draft.model}", draft.written.strftime("%Y-%m-%d %H:%M %z")]
    height = 2 * _MARGIN + _LINE * len(lines)
    image = Image.new("L", (_WIDTH, height), 0)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(_SIZE)
    for row, line in enumerate(lines):
        pen.text((_MARGIN, _MARGIN + row * _LINE), line, fill=255 if row else 200, font=font)
    return np.asarray(image)


def report_capture(draft: Draft) -> Dataset:
    """The picture as a Secondary Capture Image (PS3.3 A.8.1) in the source's study."""
    return capture(draft, DOCUMENT, picture(draft), 9002)


def capture(
    draft: Draft, document: str, pixels: np.ndarray, series_number: int, description: str | None = None
) -> Dataset:
    """A picture, uint8 (rows, columns) grey or (rows, columns, 3) RGB, as a Secondary Capture in the source's study."""
    dataset = document_header(draft, document, str(SecondaryCaptureImageStorage), "OT")
    dataset.SeriesNumber = series_number
    if description is not None:
        dataset.SeriesDescription = description
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = dataset.Laterality = ""
    # PS3.3 C.7.6.1: whether the picture holds enough to identify the patient; it holds a report's text only.
    dataset.BurnedInAnnotation = "NO"
    dataset.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PhotometricInterpretation = "RGB"
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    source = draft.source
    dataset.SourceImageSequence = Sequence([referenced_instance(str(source.SOPClassUID), str(source.SOPInstanceUID))])
    # PS3.3 C.12.4 Common Instance Reference.
    dataset.ReferencedSeriesSequence = evidence(draft).ReferencedSeriesSequence
    for series in dataset.ReferencedSeriesSequence:
        series.ReferencedInstanceSequence = series.ReferencedSOPSequence
        del series.ReferencedSOPSequence
    return dataset
