"""What a document takes over from its source: identifiers as they came, names of every character set, times, orders."""

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from app.dicom.basic_text import basic_text_report
from app.dicom.document import Draft
from app.dicom.fhir import diagnostic_report
from app.dicom.inherited import NotWritable
from app.dicom.measurement_report import measurement_report
from app.dicom.part10 import to_bytes
from app.dicom.report_capture import report_capture
from app.dicom.sample import sample_dicom
from app.imaging.headers import Headers
from app.settings import ImagingSettings
from tests.support.peers import dciodvfy_errors

WRITERS: list[Callable[[Draft], Dataset]] = [basic_text_report, measurement_report, report_capture]
EACH = pytest.mark.parametrize("write", WRITERS)
MOMENT = datetime.datetime(2026, 11, 26, 18, 37, 31, tzinfo=datetime.UTC)


def source(**values: str) -> Dataset:
    """The sample's header with values as a sender wrote them, read as the service reads it."""
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        tag = Tag(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        dataset[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)
    return read(to_bytes(dataset))


def read(data: bytes) -> Dataset:
    headers = Headers(ImagingSettings())
    try:
        return headers.source(data)
    finally:
        headers.close()


def draft(of: Dataset, zone: datetime.tzinfo | None = None) -> Draft:
    return Draft(of, "Clear.", None, "Clear.", "model-1", "ab" * 32, "key", MOMENT, zone=zone)


def written(write: Callable[[Draft], Dataset], of: Dataset, zone: datetime.tzinfo | None = None) -> Dataset:
    return pydicom.dcmread(io.BytesIO(to_bytes(write(draft(of, zone)))))


def raw(dataset: Dataset, keyword: str) -> str:
    """The value as it stands in the file."""
    value = dataset.get_item(keyword).value
    return value.decode().rstrip(" ") if isinstance(value, bytes) else str(value)


AS_THEY_CAME = {
    "AccessionNumber": ["A1", "DX-2026-000123456", "x" * 56, "A1\\A2", "ü" * 20, "a b"],
    "StudyID": ["1", "STUDY-2026-0000001234", "S\\1"],
    "PatientID": ["1", "P" * 65, "P" * 4_000, "12\\34", "患者1"],
    "IssuerOfPatientID": ["HOSP", "H" * 70],
    "PatientName": [
        "A^B",
        "A" * 70 + "^B",
        "Fam^Giv^Mid^Dr^Jr^Extra",
        "Smith\\John",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "=山田^太郎",
    ],
    "StudyDate": ["20260105", "yesterday", "2026"],
    "StudyTime": ["101500", "25:00", "10h15"],
    "StudyDescription": ["Chest", "D" * 80, "Chest\\PA"],
    "ReferringPhysicianName": ["A^B", "A^B\\C^D"],
}


@EACH
@pytest.mark.parametrize(
    ("keyword", "value"), [(keyword, value) for keyword, values in AS_THEY_CAME.items() for value in values]
)
def test_what_names_patient_and_study_is_written_as_it_came(
    write: Callable[[Draft], Dataset], keyword: str, value: str
) -> None:
    assert raw(written(write, source(**{keyword: value})), keyword) == value


@EACH
@pytest.mark.parametrize(
    ("keyword", "old", "today"),
    [
        ("StudyDate", "2026.01.05", "20260105"),
        ("StudyTime", "10:15", "1015"),
        ("StudyTime", "10:15:00", "101500"),
        ("StudyTime", "10:15:00.123", "101500.123"),
        ("PatientBirthDate", "1960.12.31", "19601231"),
    ],
)
def test_dates_and_times_of_the_old_form_become_those_of_today(
    write: Callable[[Draft], Dataset], keyword: str, old: str, today: str
) -> None:
    assert raw(written(write, source(**{keyword: old})), keyword) == today


@EACH
@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "AccessionNumber", "StudyID", "IssuerOfPatientID"])
@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb", "a\nb", "é" * 32_800])
def test_an_identifier_that_cannot_be_written_is_said_without_its_value(
    write: Callable[[Draft], Dataset], keyword: str, value: str
) -> None:
    of = source()
    of[Tag(keyword)] = DataElement(
        Tag(keyword), of[Tag(keyword)].VR if Tag(keyword) in of else "LO", value, validation_mode=config.IGNORE
    )
    with pytest.raises(NotWritable) as refused:
        write(draft(of))
    assert keyword in refused.value.detail
    assert value[:3] not in refused.value.detail


@EACH
def test_ages_and_codes_of_another_form_are_left_out(tmp_path: Path, write: Callable[[Draft], Dataset]) -> None:
    found = written(write, source(PatientSex="MALE?", PatientAge="old", PatientBirthDate="long ago"))
    assert (found.PatientSex, found.PatientBirthDate) == ("", "")
    assert "PatientAge" not in found
    found.save_as(tmp_path / "document.dcm")
    assert dciodvfy_errors(tmp_path / "document.dcm") == []


# PS3.5 H to K: the standard's own examples, with the bytes that it prints.
NAMES = [
    (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (b"ISO_IR 101", b"Wa\xb3\xeasa", "Wałęsa"),
    (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    (b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    (b"ISO_IR 144", b"\xbb\xee\xda\x63\x65\xdc\xd1yp\xd3", "Люкceмбypг"),
    (b"ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
    (b"ISO_IR 166", b"\xb9\xd2\xc2", "นาย"),
    (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    (b"ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    (b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东"),
    (b"GBK", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东"),
    (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东",
    ),
]


@pytest.mark.parametrize(("charset", "name", "expected"), NAMES, ids=[charset.decode() for charset, *_ in NAMES])
def test_names_of_every_character_set_are_written_in_unicode(charset: bytes, name: bytes, expected: str) -> None:
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()))
    dataset.pop(Tag("SpecificCharacterSet"), None)
    del dataset.PatientName
    data = to_bytes(dataset)
    # In front of (0008,0016), the sample's first element, and of (0010,0020), that behind the name.
    for before, element in (
        (b"\x08\x00\x16\x00", _element(8, 5, b"CS", charset)),
        (b"\x10\x00\x20\x00", _element(16, 16, b"PN", name)),
    ):
        at = data.index(before, 132 + 12)
        data = data[:at] + element + data[at:]
    found = written(basic_text_report, read(data))
    assert str(found.PatientName) == expected


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return group.to_bytes(2, "little") + element.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little") + value


@EACH
@pytest.mark.parametrize(
    ("stated", "zone", "date", "time", "offset"),
    [
        ("+0900", None, "20261127", "033731", "+0900"),
        ("-0330", ZoneInfo("Asia/Tokyo"), "20261126", "150731", "-0330"),
        ("+0000", ZoneInfo("Asia/Tokyo"), "20261126", "183731", "+0000"),
        ("", ZoneInfo("Asia/Tokyo"), "20261127", "033731", "+0900"),
        ("rubbish", ZoneInfo("America/New_York"), "20261126", "133731", "-0500"),
    ],
)
def test_times_are_those_of_the_source_with_their_offset(
    write: Callable[[Draft], Dataset], stated: str, zone: datetime.tzinfo | None, date: str, time: str, offset: str
) -> None:
    of = source(**({"TimezoneOffsetFromUTC": stated} if stated else {}))
    found = written(write, of, zone)
    assert (found.ContentDate, found.ContentTime, found.TimezoneOffsetFromUTC) == (date, time, offset)
    assert (found.InstanceCreationDate, found.SeriesTime) == (date, time)
    issued = datetime.datetime.fromisoformat(diagnostic_report(draft(of, zone))["issued"])
    assert issued == MOMENT
    assert issued.strftime("%z") == offset


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def ordered() -> Dataset:
    of = pydicom.dcmread(io.BytesIO(sample_dicom()))
    of.AccessionNumber, of.IssuerOfPatientID = "A-1", "HOSP_A"
    of.PatientIdentityRemoved, of.DeidentificationMethod = "YES", "pseudonyms"
    of.IssuerOfAccessionNumberSequence = Sequence([item(LocalNamespaceEntityID="RIS_A")])
    of.IssuerOfPatientIDQualifiersSequence = Sequence([item(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")])
    other = item(PatientID="X9", IssuerOfPatientID="HOSP_B", TypeOfPatientID="TEXT")
    other.add_new(0x00111001, "LO", "private")
    of.OtherPatientIDsSequence = Sequence([other])
    code = item(CodeValue="36643-5", CodingSchemeDesignator="LN", CodeMeaning="XR Chest 2 Views")
    request = item(RequestedProcedureID="RP1", ScheduledProcedureStepID="SPS1", RequestedProcedureDescription="Chest")
    request.RequestedProcedureCodeSequence = Sequence([code])
    of.RequestAttributesSequence = Sequence([request, item(RequestedProcedureID="RP2", AccessionNumber="A-2")])
    return read(to_bytes(of))


@EACH
def test_issuers_and_deidentification_are_taken_over(
    tmp_path: Path, write: Callable[[Draft], Dataset], ordered: Dataset
) -> None:
    found = written(write, ordered)
    assert found.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "RIS_A"
    assert found.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"
    (other,) = found.OtherPatientIDsSequence
    assert (other.PatientID, other.TypeOfPatientID) == ("X9", "TEXT")
    assert not any(element.tag.is_private for element in other)
    assert (found.PatientIdentityRemoved, found.DeidentificationMethod) == ("YES", "pseudonyms")
    found.save_as(tmp_path / "document.dcm")
    assert dciodvfy_errors(tmp_path / "document.dcm") == []


@pytest.mark.parametrize("write", WRITERS[:2])
def test_a_report_names_the_requests_that_it_fulfils(write: Callable[[Draft], Dataset], ordered: Dataset) -> None:
    first, second = written(write, ordered).ReferencedRequestSequence
    assert (first.RequestedProcedureID, first.AccessionNumber) == ("RP1", "A-1")
    assert first.RequestedProcedureCodeSequence[0].CodeValue == "36643-5"
    assert first.StudyInstanceUID == ordered.StudyInstanceUID
    assert (second.RequestedProcedureID, second.AccessionNumber) == ("RP2", "A-2")
    assert "ReferencedRequestSequence" not in written(write, source())
