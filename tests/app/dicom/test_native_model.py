"""Answers of STOW-RS services in both encodings, and what is none."""

import json
import time
from xml.sax.saxutils import escape

import pytest

from app.dicom.native_model import json_datasets
from app.dicom.store_response import StoreResponse, read_store_response
from app.errors import MalformedInput

# As Google's service writes it, with a private attribute and without a namespace.
GOOGLE = """<NativeDicomModel><DicomAttribute tag="00081190" vr="UR" keyword="RetrieveURL"><Value number="1">https://a/b
</Value></DicomAttribute><DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"><Item number="1">
<DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID"><Value number="1">1.2.3</Value>
</DicomAttribute>
<DicomAttribute tag="00081197" vr="US" keyword="FailureReason"><Value number="1">272</Value></DicomAttribute>
<DicomAttribute tag="00090097" vr="LT" keyword="FailureDetail" privateCreator="GOOGLE"><Value number="1">no</Value>
</DicomAttribute></Item></DicomAttribute></NativeDicomModel>"""
STORED, FAILED = ["1.2.1", "1.2.2"], [("1.2.3", 272), ("1.2.4", 45070)]


def as_json(stored: list[str], failed: list[tuple[str, int]], others: list[int] = []) -> bytes:  # noqa: B006
    """A Store Instances Response as DICOM JSON."""
    return json.dumps(_dataset(stored, failed, others)).encode()


def _dataset(stored: list[str], failed: list[tuple[str, int]], others: list[int]) -> dict[str, dict[str, object]]:
    def reason(value: int) -> dict[str, object]:
        return {"00081197": {"vr": "US", "Value": [value]}}

    def named(uid: str) -> dict[str, object]:
        return {"00081155": {"vr": "UI", "Value": [uid]}}

    sequences = {
        "00081199": [named(uid) for uid in stored],
        "00081198": [named(uid) | reason(value) for uid, value in failed],
        "0008119A": [reason(value) for value in others],
    }
    return {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}


def as_xml(stored: list[str], failed: list[tuple[str, int]], others: list[int] = []) -> bytes:  # noqa: B006
    """The same as Native DICOM Model."""

    def dataset(of: dict[str, dict[str, object]]) -> str:
        found = ""
        for tag, element in of.items():
            values = element["Value"]
            assert isinstance(values, list)
            inner = "".join(
                f'<Item number="{number}">{dataset(value)}</Item>'
                if isinstance(value, dict)
                else f'<Value number="{number}">{escape(str(value))}</Value>'
                for number, value in enumerate(values, 1)
            )
            found += f'<DicomAttribute tag="{tag}" vr="{element["vr"]}">{inner}</DicomAttribute>'
        return found

    space = 'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve"'
    body = dataset(_dataset(stored, failed, others))
    return f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel {space}>{body}</NativeDicomModel>'.encode()


@pytest.mark.parametrize("encode", [as_json, as_xml])
def test_a_response_says_what_was_stored_and_what_was_not(encode) -> None:  # type: ignore[no-untyped-def]
    expected = StoreResponse(tuple(STORED), (*FAILED, ("", 0xC000)))
    assert read_store_response(encode(STORED, FAILED, [0xC000])) == expected
    assert read_store_response(encode([], [])) == StoreResponse()


def test_prefixes_lists_and_byte_order_marks_are_read() -> None:
    assert read_store_response(GOOGLE.encode()).failed == (("1.2.3", 272),)
    prefixed = as_xml(STORED, FAILED).decode().replace("<", "<d:").replace("<d:/", "</d:").replace("<d:?", "<?")
    prefixed = prefixed.replace("xmlns=", "xmlns:d=")
    assert read_store_response(prefixed.encode()).stored == tuple(STORED)
    assert read_store_response(b"\xef\xbb\xbf" + as_json(STORED, [])).stored == tuple(STORED)
    assert read_store_response(b"[" + as_json(STORED, []) + b"]").stored == tuple(STORED)


_ENTITIES = '<!DOCTYPE x [<!ENTITY a "1">%s]><NativeDicomModel>%s</NativeDicomModel>'
_LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)).replace("&a0;", "&a;")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"OK",
        b"{",
        b"null",
        b"[1]",
        b'"stored"',
        b"\xff\xfe",
        b'{"00081198": 1}',
        b'{"00081198": {"Value": {}}}',
        b'{"00081198": {"Value": [1]}}',
        b'{"00081198": {"Value": [{"00081197": {"Value": ["x"]}}]}}',
        b'{"00081198": {"Value": [{"00081197": {"Value": [[]]}}]}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"<",
        b"<NativeDicomModel>",
        b"<html><body>OK</body></html>",
        b"<a>" * 100_000,
        b"<NativeDicomModel>" + b"<Item>" * 100 + b"</Item>" * 100 + b"</NativeDicomModel>",
        (_ENTITIES % ("", "&a;")).encode(),
        (_ENTITIES % (_LAUGHS, "&a9;")).encode(),
        (_ENTITIES % ('<!ENTITY b SYSTEM "file:///etc/hostname">', "&b;")).encode(),
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><NativeDicomModel/>',
        b"<NativeDicomModel>&unknown;</NativeDicomModel>",
    ],
)
def test_what_is_no_response_is_said_to_be_none_at_once(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MalformedInput):
        read_store_response(body)
    assert time.process_time() - began < 1.0


def test_many_data_sets_of_a_search_are_read() -> None:
    assert len(json_datasets(b"[{}, {}]")) == 2
    assert json_datasets(b"[]") == []
