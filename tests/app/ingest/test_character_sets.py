"""A sender whose character set is overridden: what it sends is stored with the one that it really uses."""

import asyncio
import io
import struct
from typing import Any

import pydicom
import pytest
from pydantic import ValidationError
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.tag import Tag
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from app.dicom.status import FailureReason, WarningReason
from app.settings import DimseSettings, Settings
from app.settings.character_sets import CHARACTER_SETS
from tests.app.ingest.test_transfer_syntaxes import written
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.ingest import Held
from tests.support.service import running
from tests.support.states import rows
from tests.support.studies import finished, instance, parsed, quick

pytestmark = FAILED_CONNECTIONS
# By transfer syntax: whether its VR is implicit and its bytes are little endian.
_NATIVE = {
    "1.2.840.10008.1.2": (True, True),
    "1.2.840.10008.1.2.1": (False, True),
    "1.2.840.10008.1.2.2": (False, False),
}
_ITS_OWN = {Tag(0x00080000), Tag(0x00080005), Tag(0x00100010)}


def said(syntax: str, terms: str | None, name: bytes, group_length: bool = False) -> bytes:
    """An instance that states these terms, with a patient's name as these bytes."""
    dataset = parsed(instance(PatientName="N" * len(name)))
    if "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    if terms is not None:
        dataset.SpecificCharacterSet = terms.split("\\")
    dataset.file_meta.TransferSyntaxUID = syntax
    implicit, little = _NATIVE[syntax]
    if not little:
        dataset["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=little, force_encoding=not little)
    data = buffer.getvalue().replace(b"N" * len(name), name)
    if not group_length:
        return data
    start, order = 144 + struct.unpack_from("<L", data, 140)[0], "<" if little else ">"
    head = struct.pack(f"{order}HHL" if implicit else f"{order}HH2sH", 8, 0, *((4,) if implicit else (b"UL", 4)))
    return data[:start] + head + struct.pack(f"{order}L", 1_000) + data[start:]


@pytest.mark.parametrize("group_length", [False, True], ids=["", "group length"])
@pytest.mark.parametrize("terms", [None, "ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 58"], ids=str)
@pytest.mark.parametrize("syntax", _NATIVE)
def test_the_data_set_states_it_and_the_rest_of_it_is_as_it_came(
    held: Held, syntax: str, terms: str | None, group_length: bool
) -> None:
    data = said(syntax, terms, "王^小東".encode("gbk"), group_length)
    receipt = held.accept(data, character_set="GB18030")
    assert (receipt.failure, receipt.warning) == (None, WarningReason.COERCED)
    row = rows(held)[0]
    assert row.attributes["00100010"]["Value"] == [{"Alphabetic": "王^小東"}]
    stored = held.spool.path(row.file).read_bytes()
    found, sent = pydicom.dcmread(io.BytesIO(stored)), pydicom.dcmread(io.BytesIO(data))
    assert (found.SpecificCharacterSet, str(found.PatientName)) == ("GB18030", "王^小東")
    if group_length:
        assert found[0x00080000].value - 1_000 == len(stored) - len(data)
    rest = [{tag: one.get_item(tag).value for tag in set(one.keys()) - _ITS_OWN} for one in (found, sent)]
    assert rest[0] == rest[1]
    # Sent again it is the same.
    assert held.accept(data, character_set="GB18030").outcome == "stored"
    assert len(rows(held)) == 1


def test_a_data_set_that_states_it_already_is_not_touched(held: Held) -> None:
    data = said(ExplicitVRLittleEndian, "GB18030", "王".encode("gbk"))
    receipt = held.accept(data, character_set="GB18030")
    assert (receipt.failure, receipt.warning) == (None, None)
    assert held.spool.path(rows(held)[0].file).read_bytes() == data


def test_a_file_without_meta_information_is_made_one_as_well(held: Held) -> None:
    data = said(ExplicitVRLittleEndian, None, "Müller".encode())
    start = 144 + struct.unpack_from("<L", data, 140)[0]
    receipt = held.accept(data[start:], character_set="ISO_IR 192")
    assert receipt.failure is None
    found = pydicom.dcmread(held.spool.path(rows(held)[0].file))
    assert (found.SpecificCharacterSet, str(found.PatientName)) == ("ISO_IR 192", "Müller")


def test_a_deflated_data_set_is_refused_in_words(held: Held) -> None:
    receipt = held.accept(written("1.2.840.10008.1.2.1.99"), character_set="GB18030")
    assert receipt.failure is FailureReason.TRANSFER_SYNTAX
    assert "deflated" in receipt.detail
    assert held.spool.names() == set()


@pytest.mark.parametrize("data", [b"", b"\0" * 20, b"\x08\0" * 50, struct.pack("<HHL", 8, 5, 2**31) * 4])
def test_rubbish_is_refused_as_without_it(held: Held, data: bytes) -> None:
    assert held.accept(data, character_set="GB18030").failure is FailureReason.CANNOT_UNDERSTAND


CASES = {
    "UTF-8 without a character set": ({"SENDER": "ISO_IR 192"}, None, "Müller^Jürgen", "utf-8"),
    "GBK under ISO_IR 100": ({"SENDER": "GBK"}, "ISO_IR 100", "张^小东", "gbk"),
    "Latin-1 under UTF-8": ({"SENDER": "ISO_IR 100"}, "ISO_IR 192", "Müller^Jürgen", "latin-1"),
    "another sender": ({"ELSE": "GBK"}, "ISO_IR 100", "Müller^Jürgen", "latin-1"),
}


@pytest.mark.parametrize(("charsets", "stated", "name", "encoding"), CASES.values(), ids=CASES)
async def test_search_metadata_and_document_give_the_name_that_the_sender_meant(
    settings: Settings, charsets: dict[str, str], stated: str | None, name: str, encoding: str
) -> None:
    dimse = DimseSettings(port=0, charsets=charsets)
    data = said(ExplicitVRLittleEndian, stated, name.encode(encoding))
    async with running(quick(settings.model_copy(update={"dimse": dimse})), durable=True) as service:
        status = await asyncio.to_thread(send, service, data)
        assert status == (0xB000 if "SENDER" in charsets else 0x0000)
        study = parsed(data).StudyInstanceUID
        job = await finished(service.client, study)
        found = (await service.client.get(f"/dicom-web/studies/{study}/instances")).json()
        for one in found:
            assert one["00100010"]["Value"] == [{"Alphabetic": name}]
            series, uid = one["0020000E"]["Value"][0], one["00080018"]["Value"][0]
            place = f"/dicom-web/studies/{study}/series/{series}/instances/{uid}"
            metadata = (await service.client.get(f"{place}/metadata")).json()[0]
            assert metadata["00100010"]["Value"] == [{"Alphabetic": name}]
            stored = await service.client.get(place, headers={"Accept": "application/dicom"})
            assert str(read(stored.content).PatientName) == name
        assert {one["00080018"]["Value"][0] for one in found} >= set(job["documents"])


def read(data: bytes) -> Dataset:
    """A data set with its texts decoded."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.decode()
    return dataset


def send(service: Any, data: bytes) -> int:
    """The status of a C-STORE of the bytes as they are."""
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", service.app.state.service.studies.scp.port, ae_title="LLMCXR")
    status = int(association.send_c_store(pydicom.dcmread(io.BytesIO(data))).Status)
    association.release()
    return status


@pytest.mark.parametrize("terms", ["UTF-8", "ISO_IR 192\\NONE", "iso_ir 100", "GB2312"])
def test_what_is_no_defined_term_stops_the_start(terms: str) -> None:
    with pytest.raises(ValidationError, match="defined term"):
        DimseSettings(charsets={"CR1": terms})


def test_every_term_that_is_taken_can_be_read() -> None:
    assert set(python_encoding) | {"ISO 2022 IR 203"} >= CHARACTER_SETS
    assert DimseSettings(charsets={"CR1": "\\ISO 2022 IR 58"}).charsets
