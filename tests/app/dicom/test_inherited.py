"""What a document takes over from its source: identifiers as they came, names of every character set."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from app.dicom.basic_text import basic_text_report
from app.dicom.inherited import NotWritable
from app.dicom.part10 import to_bytes
from app.dicom.sample import sample_dicom
from tests.support.drafts import WRITERS, Write, draft, read, source, written
from tests.support.peers import dciodvfy_errors

EACH = pytest.mark.parametrize("write", WRITERS)


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
def test_what_names_patient_and_study_is_written_as_it_came(write: Write, keyword: str, value: str) -> None:
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
    write: Write, keyword: str, old: str, today: str
) -> None:
    assert raw(written(write, source(**{keyword: old})), keyword) == today


@EACH
@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "AccessionNumber", "StudyID", "IssuerOfPatientID"])
@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb", "a\nb", "é" * 32_800])
def test_an_identifier_that_cannot_be_written_is_said_without_its_value(write: Write, keyword: str, value: str) -> None:
    of = source()
    of[Tag(keyword)] = DataElement(
        Tag(keyword), of[Tag(keyword)].VR if Tag(keyword) in of else "LO", value, validation_mode=config.IGNORE
    )
    with pytest.raises(NotWritable) as refused:
        write(draft(of))
    assert keyword in refused.value.detail
    assert value[:3] not in refused.value.detail


@EACH
def test_ages_and_codes_of_another_form_are_left_out(tmp_path: Path, write: Write) -> None:
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
