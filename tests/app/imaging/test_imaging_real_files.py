"""The real and broken DICOM files beside the project: each has its radiograph or its refusal."""

import csv

import numpy as np
import pytest

from app.errors import InputError
from app.imaging import Radiograph, read_radiograph
from app.settings import ImagingSettings
from tests.support.service import SHARED

FOLDER = SHARED / "dicom"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the shared DICOM files are not here")

CHEST = {
    "RG1_J2KI.dcm": "read",
    "RG1_JLSN.dcm": "read",
    "966.dcm": "read",
    "JPEG2KLossless_1s_1f_u_16_16.dcm": "read",
    "siim_cr_jpegbaseline_1024.dcm": "read",
    "siim_cr_jpegbaseline_fake_monochrome1.dcm": "read",
    "CR-MONO1-10-chest": "read",
    "chrJapMulti.dcm": "no_pixels",
    "chrJapMultiExplicitIR6.dcm": "no_pixels",
    "chrKoreanMulti.dcm": "no_pixels",
}
BY_MODALITY = {"CT", "MR", "US", "OP", "SEG", "RTPLAN", "RTDOSE", "NM"}


def _index() -> list[dict[str, str]]:
    if not FOLDER.exists():
        return []
    with (FOLDER / "index.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def read(name: str) -> Radiograph:
    return read_radiograph((FOLDER / name).read_bytes(), ImagingSettings(), 256)


@pytest.mark.parametrize(("name", "outcome"), CHEST.items())
def test_a_chest_file_has_its_outcome(name: str, outcome: str) -> None:
    if outcome == "read":
        image = read(f"chest/{name}")
        assert image.pixels.std() > 20
        return
    with pytest.raises(InputError) as caught:
        read(f"chest/{name}")
    assert caught.value.code == outcome


def test_the_fake_monochrome1_file_is_the_inverse_of_its_twin() -> None:
    twin = read("chest/siim_cr_jpegbaseline_1024.dcm").pixels.astype(int)
    fake = read("chest/siim_cr_jpegbaseline_fake_monochrome1.dcm").pixels.astype(int)
    assert np.abs(fake - (255 - twin)).max() <= 1


def test_the_same_film_in_two_syntaxes_is_the_same_radiograph() -> None:
    one, other = read("chest/RG1_J2KI.dcm").pixels, read("chest/RG1_JLSN.dcm").pixels
    assert np.abs(one.astype(int) - other.astype(int)).mean() < 2


def test_no_other_file_is_read_and_each_says_why() -> None:
    for row in _index():
        if row["file"].startswith("chest/"):
            continue
        with pytest.raises(InputError) as caught:
            read(row["file"])
        assert caught.value.detail.endswith(".")
        if row["modality"] in BY_MODALITY and caught.value.code not in ("damaged_image", "not_an_image"):
            assert caught.value.code in ("wrong_modality", "no_pixels"), row["file"]
        if row["file"].startswith("other_radiograph/"):
            assert caught.value.code == "not_chest", row["file"]
