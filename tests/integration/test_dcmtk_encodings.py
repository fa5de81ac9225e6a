"""What dcmtk makes of an instance is that instance, or a lossy copy of it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from app.dicom.likeness import Likeness
from app.imaging.likeness import Meaning, likeness, meaning, meaning_of
from app.settings import ImagingSettings
from tests.support.service import SHARED
from tests.support.studies import instance

LOSSLESS = {
    "JPEG SV1": ("dcmcjpeg", "+e1"),
    "JPEG process 14": ("dcmcjpeg", "+el"),
    "JPEG-LS": ("dcmcjpls",),
    "RLE": ("dcmcrle",),
    "implicit": ("dcmconv", "+ti"),
    "big endian": ("dcmconv", "+tb"),
    "deflated": ("dcmconv", "+td"),
    "undefined lengths": ("dcmconv", "-e"),
    "group lengths": ("dcmconv", "+g"),
    "padding": ("dcmconv", "+p", "1024", "128"),
    "UTF-8": ("dcmconv", "+U8"),
}
LOSSY = {"JPEG of 8 bits": ("dcmcjpeg", "+eb", "+un"), "JPEG of 12 bits": ("dcmcjpeg", "+ee", "+q", "70")}
FILES = ["the sample", "chest/RG1_JLSN.dcm", "other_radiograph/RG2_RLE.dcm", "other_radiograph/cspine_CR1_6154.dcm"]


def _made(folder: Path, name: str) -> Path:
    """An uncompressed file to start from."""
    plain = folder / "plain.dcm"
    if name == "the sample":
        attributes = {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100", "WindowCenter": 2048}
        plain.write_bytes(instance(ImageType=["ORIGINAL", "PRIMARY"], WindowWidth=4096, **attributes))
        return plain
    if not (SHARED / "dicom" / name).exists():
        pytest.skip("shared/data is absent")
    tool = "dcmdrle" if "RLE" in name else "dcmdjpls" if "JLS" in name else "dcmconv"
    _run(tool, str(SHARED / "dicom" / name), str(plain))
    return plain


def _run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip("dcmtk is not installed (make peers)")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} cannot write it: {done.stderr.strip()[-200:]}")


def _meant(path: Path) -> Meaning:
    return meaning_of(*meaning(path.read_bytes(), ImagingSettings()))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", LOSSLESS.values(), ids=LOSSLESS)
def test_what_dcmtk_encodes_without_loss_is_the_same(tmp_path: Path, name: str, command: tuple[str, ...]) -> None:
    plain, encoded = _made(tmp_path, name), tmp_path / "encoded.dcm"
    tool, *options = command
    _run(tool, *options, str(plain), str(encoded))
    assert likeness(_meant(encoded), _meant(plain)) is Likeness.SAME
    assert likeness(_meant(plain), _meant(encoded)) is Likeness.SAME


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", LOSSY.values(), ids=LOSSY)
def test_what_dcmtk_encodes_with_loss_is_a_copy(tmp_path: Path, name: str, command: tuple[str, ...]) -> None:
    plain, encoded = _made(tmp_path, name), tmp_path / "encoded.dcm"
    tool, *options = command
    # Without a new SOP Instance UID.
    _run(tool, *options, "+ua", str(plain), str(encoded))
    _run("dcmodify", "-nb", "-m", f"(0008,0018)={_uid(plain)}", str(encoded))
    assert likeness(_meant(encoded), _meant(plain)) is Likeness.LOSSY
    assert likeness(_meant(plain), _meant(encoded)) is Likeness.LOSSY


def _uid(path: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
