"""An image that ends where its pixel data would begin is refused, unless it says that they are elsewhere."""

import io
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless

from app.dicom.status import FailureReason
from tests.app.ingest.test_completeness import native, saved, taken
from tests.app.ingest.test_transfer_syntaxes import written
from tests.support.ingest import Held
from tests.support.studies import parsed


def cut_before_pixel_data(**attributes: Any) -> Dataset:
    """An image that ends where its pixel data would begin."""
    dataset = native(**attributes)
    del dataset.PixelData
    return dataset


@pytest.mark.parametrize(
    "syntax", [*(ExplicitVRLittleEndian, ImplicitVRLittleEndian), "1.2.840.10008.1.2.1.99", JPEGLSLossless], ids=str
)
def test_an_image_that_ends_before_its_pixel_data_is_refused_and_the_whole_is_taken(held: Held, syntax: str) -> None:
    whole = parsed(written(syntax))
    uid = whole.SOPInstanceUID
    cut = Dataset()
    cut.update({one.tag: one for one in whole if one.tag < 0x7FE00000})
    cut.file_meta = whole.file_meta
    buffer = io.BytesIO()
    cut.save_as(buffer, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    receipt = held.accept(buffer.getvalue())
    assert (receipt.failure, receipt.sop_instance_uid) == (FailureReason.CANNOT_UNDERSTAND, uid)
    assert "no pixel data" in receipt.detail
    buffer = io.BytesIO()
    whole.save_as(buffer)
    assert taken(held, buffer.getvalue())


def test_images_whose_pixels_are_elsewhere_or_not_described_are_taken(held: Held) -> None:
    assert taken(held, saved(cut_before_pixel_data(PixelDataProviderURL="https://pacs.example/1")))
    jpip = cut_before_pixel_data()
    jpip.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.94"
    assert taken(held, saved(jpip))
    for keyword in ("Rows", "Columns", "BitsAllocated"):
        header_only = cut_before_pixel_data()
        del header_only[keyword]
        assert taken(held, saved(header_only)), keyword
    dose = cut_before_pixel_data()
    dose.SOPClassUID = dose.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.2"
    assert taken(held, saved(dose))
