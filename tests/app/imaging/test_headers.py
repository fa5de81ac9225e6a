"""Headers of strangers' files: what is deflated is inflated elsewhere and bounded, and metadata is made there."""

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from app.dicom.header import Header, NotStorable
from app.dicom.part10 import to_bytes
from app.dicom.status import FailureReason
from app.errors import TooLarge
from app.imaging import instance as confined
from app.imaging.headers import Headers
from app.settings import ImagingSettings
from benchmarks.hostile import Disguise, deflated_bomb, nested, radiograph_header, with_elements, with_value
from tests.support.studies import instance, parsed

LIMITS = ImagingSettings(max_inflated_mb=64, max_elements=20_000, max_value_mb=32, header_workers=1)
URI = "http://pacs/instance"


@pytest.fixture(scope="module")
def headers() -> Iterator[Headers]:
    made = Headers(LIMITS)
    yield made
    made.close()


def read(headers: Headers, file: Path) -> Header:
    return headers.read(file, headers.opening(file))


def refused(headers: Headers, file: Path) -> NotStorable:
    with pytest.raises(NotStorable) as caught:
        read(headers, file)
    return caught.value


def resident_mb() -> float:
    pages = int(Path(f"/proc/{os.getpid()}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@pytest.mark.parametrize("disguise", ["plain", "far", "straddle", "nopreamble", "lie", "nolength"])
def test_a_bomb_in_any_disguise_is_over_the_limit_and_costs_the_gateway_nothing(
    headers: Headers, tmp_path: Path, disguise: Disguise
) -> None:
    file = tmp_path / "bomb.dcm"
    file.write_bytes(deflated_bomb(1_500, disguise))
    before = resident_mb()
    error = refused(headers, file)
    assert (error.reason, error.reason.in_stow, error.reason.in_dimse) == (FailureReason.OVER_LIMIT, 0x0110, 0xC000)
    assert "64 MB" in error.detail
    assert resident_mb() - before < 50
    with pytest.raises(NotStorable):
        headers.source(file.read_bytes())


def test_a_deflated_instance_below_the_limit_is_read(headers: Headers, tmp_path: Path) -> None:
    file = tmp_path / "x.dcm"
    dataset = radiograph_header(Manufacturer="Maker")
    file.write_bytes(deflated_bomb(60, header=dataset))
    header = read(headers, file)
    assert (header.sop_instance_uid, header.manufacturer) == (dataset.SOPInstanceUID, "Maker")
    assert header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian
    assert headers.source(file).PatientName == headers.source(file.read_bytes()).PatientName == dataset.PatientName


def test_an_instance_that_another_toolkit_has_deflated_is_read_with_its_metadata(headers: Headers) -> None:
    file = Path(str(get_testdata_file("image_dfl.dcm")))
    assert read(headers, file).transfer_syntax_uid == DeflatedExplicitVRLittleEndian


@pytest.mark.parametrize("data", [b"", b"\xff" * 50, deflated_bomb(2)[1_000:1_400]])
def test_a_damaged_or_broken_off_deflated_stream_is_not_understood(
    headers: Headers, tmp_path: Path, data: bytes
) -> None:
    whole = deflated_bomb(2)
    file = tmp_path / "x.dcm"
    start = len(whole) - len(whole[headers_start(whole) :])
    file.write_bytes(whole[:start] + data)
    assert refused(headers, file).reason is FailureReason.CANNOT_UNDERSTAND


def headers_start(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")


def test_elements_nesting_and_values_over_a_limit_are_refused(headers: Headers, tmp_path: Path) -> None:
    file = tmp_path / "x.dcm"
    for data in (with_elements(20_001), nested(40), nested(40, defined=True), with_value(33_000_000)):
        file.write_bytes(data)
        assert refused(headers, file).reason is FailureReason.OVER_LIMIT
    file.write_bytes(with_elements(15_000))
    assert read(headers, file).sop_class_uid


def test_elements_hidden_in_a_deflated_data_set_are_counted_too(headers: Headers, tmp_path: Path) -> None:
    header = radiograph_header()
    header.OtherPatientIDsSequence = [Dataset() for _ in range(21_000)]
    file = tmp_path / "x.dcm"
    file.write_bytes(deflated_bomb(1, header=header))
    assert "20000 elements" in refused(headers, file).detail


async def test_metadata_is_made_elsewhere_and_refers_to_bulk_data(headers: Headers, tmp_path: Path) -> None:
    file = tmp_path / "x.dcm"
    file.write_bytes(instance(PatientID="P-1", RedPaletteColorLookupTableData=bytes(2_000)))
    found = json.loads(await headers.metadata(file, URI))
    assert found["00100020"]["Value"] == ["P-1"]
    assert found["00281201"] == {"vr": "OW", "BulkDataURI": f"{URI}/00281201"}


async def test_metadata_over_a_limit_or_of_a_bomb_is_refused_in_words(headers: Headers, tmp_path: Path) -> None:
    file = tmp_path / "x.dcm"
    before = resident_mb()
    for data in (with_elements(1_000_000), deflated_bomb(1_500, "far"), with_elements(12_000, b"x" * 700, 0x0009)):
        file.write_bytes(data)
        started = time.monotonic()
        with pytest.raises(TooLarge):
            await headers.metadata(file, URI)
        assert time.monotonic() - started < 15.0
    assert resident_mb() - before < 50


async def test_the_open_file_of_a_request_is_closed_on_both_sides(headers: Headers, tmp_path: Path) -> None:
    file = tmp_path / "x.dcm"
    file.write_bytes(instance())
    await headers.metadata(file, URI)
    own, theirs = (len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), headers.processes[0]))
    for _ in range(100):  # more than a process may have open
        await headers.metadata(file, URI)
    assert own == len(os.listdir(f"/proc/{os.getpid()}/fd"))
    assert theirs == len(os.listdir(f"/proc/{headers.processes[0]}/fd"))


def test_a_bomb_is_refused_by_the_image_reader_as_well() -> None:
    with pytest.raises(TooLarge):
        confined.parse(deflated_bomb(100), LIMITS)
    dataset = parsed(instance())
    assert confined.parse(instance(), LIMITS).Rows == dataset.Rows


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("SOPInstanceUID", "1.2.007", "1.2.007"),
        ("AccessionNumber", "A" * 17, "A" * 17),
        ("StudyDescription", "B" * 80, "B" * 80),
        ("PatientSize", "1.7000000000000000001", 1.7),
        ("BodyPartExamined", "Lunge", "Lunge"),
        ("StudyDate", "2026.01.05", "2026.01.05"),
    ],
)
async def test_metadata_holds_what_breaks_the_rules_of_its_vr(
    headers: Headers, tmp_path: Path, keyword: str, value: str, expected: object
) -> None:
    file = tmp_path / "file"
    dataset = parsed(instance())
    tag = Tag(keyword)
    dataset[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE)
    file.write_bytes(to_bytes(dataset))
    found = json.loads(await headers.metadata(file, URI))
    assert found[f"{tag:08X}"]["Value"] == [expected]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
async def test_metadata_leaves_out_numbers_that_json_does_not_have(
    headers: Headers, tmp_path: Path, value: float
) -> None:
    file = tmp_path / "file"
    dataset = parsed(instance())
    dataset.ExposureTimeInms = value
    file.write_bytes(to_bytes(dataset))

    def refuse(constant: str) -> object:
        raise AssertionError(constant)

    found = json.loads(await headers.metadata(file, URI), parse_constant=refuse)
    assert "00189328" not in found
    assert found["00080018"]["Value"] == [dataset.SOPInstanceUID]
