"""A data set with a value of every VR, and what its elements mean."""

import io
import struct
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from app.dicom.meaning import attribute_digests
from app.third_parties import set_up_pydicom
from tests.support.studies import instance, parsed

set_up_pydicom()

# A value of every VR, by a public attribute (PS3.6) that has it, and another value.
VALUES: dict[str, tuple[str, Any, Any]] = {
    "AE": ("ScheduledStationAETitle", "AET", "AET2"),
    "AS": ("PatientAge", "030Y", "031Y"),
    "AT": ("FrameIncrementPointer", 0x00181063, 0x00181065),
    "CS": ("BodyPartExamined", "CHEST", "ABDOMEN"),
    "DA": ("AcquisitionDate", "20260101", "20260102"),
    "DS": ("PixelSpacing", ["0.143", "0.143"], ["0.143", "0.144"]),
    "DT": ("AcquisitionDateTime", "20260101101500", "20260101101501"),
    "FD": ("WaterEquivalentDiameter", 1.5, 1.25),
    "FL": ("ExaminedBodyThickness", 2.5, 2.25),
    "IS": ("ExposureTime", "12", "13"),
    "LO": ("InstitutionName", "Praxis Müller", "Praxis Muller"),
    "LT": ("PatientComments", "line 1\r\nline 2", "line 1\nline 2"),
    "OB": ("ICCProfile", b"\1\2\3\4", b"\1\2\3\5"),
    "OD": ("DoublePointCoordinatesData", struct.pack("<2d", 1, 2), struct.pack("<2d", 2, 1)),
    "OF": ("FloatingPointValues", struct.pack("<2f", 1, 2), struct.pack("<2f", 2, 1)),
    "OL": ("SelectorOLValue", struct.pack("<2L", 1, 2), struct.pack("<2L", 2, 1)),
    "OV": ("SelectorOVValue", struct.pack("<2Q", 1, 2), struct.pack("<2Q", 2, 1)),
    "OW": ("RedPaletteColorLookupTableData", b"\1\2\3\4", b"\2\1\4\3"),
    "PN": ("ReferringPhysicianName", "Müller^Ann", "Müller^Anna"),
    "SH": ("AccessionNumber", "A-1", "A-2"),
    "SL": ("ReferencePixelX0", -70_000, -70_001),
    "SS": ("TagAngleSecondAxis", -3, -4),
    "ST": ("InstitutionAddress", "one", "two"),
    "TM": ("AcquisitionTime", "101500", "101501"),
    "UC": ("LongCodeValue", "x" * 100, "y" * 100),
    "UI": ("FrameOfReferenceUID", "1.2.3", "1.2.4"),
    "UL": ("RegionFlags", 70_000, 70_001),
    "UR": ("RetrieveURI", "http://a", "http://b"),
    "US": ("PregnancyStatus", 1, 2),
    "SV": ("SelectorSVValue", -(2**40), -(2**41)),
    "UV": ("TotalNumberOfStudyRecords", 2**40, 2**41),
    "UT": ("TextValue", "free text", "Free text"),
}


_BASE = instance(SpecificCharacterSet="ISO_IR 100", PixelPaddingValue=60_000)


def full() -> Dataset:
    """A data set with all of them, at the top and in a sequence, and private elements."""
    dataset = parsed(_BASE)
    del dataset.PixelData, dataset.file_meta
    item = Dataset()
    for keyword, value, _ in VALUES.values():
        for one in (dataset, item):
            setattr(one, keyword, value)
    dataset.RequestAttributesSequence = Sequence([item, Dataset()])
    block = dataset.private_block(0x0029, "MAKER", create=True)
    block.add_new(0x01, "LO", "odd text")
    block.add_new(0x02, "US", 513)
    block.add_new(0x03, "OB", b"\1\2\3\4")
    inner = Dataset()
    inner.PatientID, inner.Rows = "P", 513
    block.add_new(0x04, "SQ", Sequence([inner]))
    return dataset


def encoded(dataset: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    """A data set's elements."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    # A copy that knows of no other encoding.
    write_dataset(buffer, dataset, "iso8859")
    return bytes(buffer.getvalue())


def digest(data: bytes, *, implicit: bool = False, little: bool = True) -> str:
    """What elements mean."""
    dataset = read_dataset(io.BytesIO(data), implicit, little)
    return attribute_digests(dataset, little=little).attributes


def digest_of(dataset: Dataset) -> str:
    """The same of a data set."""
    return digest(encoded(dataset))


def parsed_again(dataset: Dataset) -> Dataset:
    """A data set as it is read back."""
    return read_dataset(io.BytesIO(encoded(dataset)), False, True)
