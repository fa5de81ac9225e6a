"""DICOM bytes to a grey image and the facts about it."""

import warnings as python_warnings

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from app.dicom.evidence import Turn, evidence_of
from app.dicom.values import text_of
from app.errors import CxrError, MalformedInput
from app.imaging import instance
from app.imaging.acceptance import accept, facts_of
from app.imaging.pixel_module import settle
from app.imaging.pixels import grey_image
from app.imaging.radiograph import DicomFacts
from app.imaging.upright import with_square_pixels
from app.settings import ImagingSettings
from app.third_parties import set_up_pydicom

set_up_pydicom()

_ASSUMED = "The transfer syntax is not stated; it was taken to be {}."


def read_dicom(data: bytes, limits: ImagingSettings) -> tuple[np.ndarray, Turn, DicomFacts, list[str]]:
    """A grey image uint8 (rows, columns) as it lies in the file, the turn that brings it upright, what it is, warnings.

    Raises MalformedInput, TooLarge, UnsupportedMedia, UnusableImage.
    """
    warnings: list[str] = []
    with python_warnings.catch_warnings():
        # pydicom's warnings quote values, which may be a patient's.
        python_warnings.simplefilter("ignore")
        dataset = parse(data, warnings, limits)
        facts = facts_of(dataset, str(dataset.file_meta.TransferSyntaxUID))
        evidence = evidence_of(dataset)
        warnings += accept(dataset, facts, evidence, limits)
        turn = evidence.orientation.turn
        if turn.warning:
            warnings.append(turn.warning)
        try:
            settle(dataset, warnings)
            grey = with_square_pixels(grey_image(dataset, warnings, limits.max_pixels), dataset, warnings)
            return grey, turn, facts, warnings
        except (CxrError, MemoryError):
            raise
        except Exception as error:  # whatever a LUT or a header combination made numpy or pydicom raise
            raise MalformedInput("The image's header and pixels do not fit together.", code="damaged_image") from error


def parse(data: bytes, warnings: list[str], limits: ImagingSettings) -> Dataset:
    """The data set; where it states no transfer syntax, with an assumed one and a warning. Raises MalformedInput."""
    try:
        dataset = instance.parse(data, limits)
        # Touching the header finds a truncated one here, not in the middle of the checks.
        text_of(dataset, "Modality")
    except (CxrError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image") from error
    if not len(dataset):
        raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image")
    meta = getattr(dataset, "file_meta", None)
    if meta is None or "TransferSyntaxUID" not in meta:
        implicit, little = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta = meta or FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        warnings.append(_ASSUMED.format(syntax.name))
    return dataset
