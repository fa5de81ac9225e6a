"""A sample DICOM chest radiograph made by the project: the embedded picture of `app/dicom/sample.png` wrapped as CR.

The picture is a drawing of the embedded model, so nothing real is shipped and everybody has a file to try.
"""

import datetime
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from app.dicom.part10 import to_bytes

SAMPLE_PICTURE = Path(__file__).with_name("sample.png")


def sample_dicom(picture: Path = SAMPLE_PICTURE) -> bytes:
    """A Part 10 file: CR, MONOCHROME1, 12 bits in 16, with a window, 4 times the picture's size."""
    with Image.open(picture) as image:
        grey = np.asarray(image.convert("L").resize((image.width * 4, image.height * 4), Image.Resampling.BICUBIC))
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["llm-cxr-sample", "instance"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["llm-cxr-sample", "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["llm-cxr-sample", "series"])
    dataset.PatientName, dataset.PatientID = "SAMPLE^SYNTHETIC", "SAMPLE-1"
    dataset.PatientBirthDate, dataset.PatientSex = "", ""
    dataset.StudyDate = dataset.ContentDate = datetime.date(2026, 1, 1).strftime("%Y%m%d")
    dataset.StudyTime = dataset.ContentTime = "120000"
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "", "", ""
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "AP"
    dataset.SyntheticData = "YES"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME1"
    dataset.Rows, dataset.Columns = grey.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = ((255 - grey.astype(np.uint16)) * 16).tobytes()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    return to_bytes(dataset)
