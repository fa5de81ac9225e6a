"""C-STORE to application entities that take one thing and not another."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, build_context, evt

from app.delivery.dimse import DimseDestination
from app.dicom.part10 import PREAMBLE, to_bytes
from app.errors import DeliveryFailed
from app.settings import DestinationSettings
from tests.app.dicom.test_documents import WRITERS, Writer, draft, source
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.studies import instance, parsed

pytestmark = FAILED_CONNECTIONS
EXPLICIT, IMPLICIT = ExplicitVRLittleEndian, ImplicitVRLittleEndian


class Pacs:
    """A C-STORE SCP that takes some classes in some transfer syntaxes, and answers with a status."""

    def __init__(self, takes: Sequence[tuple[str, Sequence[str]]], status: int = 0x0000) -> None:
        self.received: list[Dataset] = []
        self.proposed: dict[str, set[str]] = {}
        self.status = status
        self.entity = AE(ae_title="PACS")
        self.entity.supported_contexts = [build_context(uid, list(syntaxes)) for uid, syntaxes in takes]

    def _store(self, event: Any) -> int:
        file = io.BytesIO()
        file.write(PREAMBLE)
        write_file_meta_info(file, event.file_meta)
        file.write(event.request.DataSet.getvalue())
        file.seek(0)
        self.received.append(dcmread(file))
        return self.status

    def _requested(self, event: Any) -> None:
        for context in event.assoc.requestor.requested_contexts:
            self.proposed.setdefault(context.abstract_syntax, set()).update(context.transfer_syntax)

    @contextlib.contextmanager
    def listening(self) -> Iterator[DimseDestination]:
        """It listens, and is a destination."""
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_REQUESTED, self._requested)]
        server = self.entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        settings = DestinationSettings(
            name="pacs", host="127.0.0.1", port=server.socket.getsockname()[1], ae_title="PACS"
        )
        try:
            yield DimseDestination(settings, "LLMCXR")
        finally:
            server.shutdown()


def documents(folder: Path) -> list[Path]:
    """One of each document."""
    paths = []
    for number, writer in enumerate(WRITERS):
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(to_bytes(writer(draft(source()))))
    return paths


def classes(paths: Sequence[Path]) -> list[str]:
    return [str(dcmread(path).SOPClassUID) for path in paths]


async def test_implicit_vr_is_proposed_with_every_document(tmp_path: Path) -> None:
    paths = documents(tmp_path)
    pacs = Pacs([(uid, [EXPLICIT, IMPLICIT]) for uid in classes(paths)])
    with pacs.listening() as destination:
        await destination.send(paths)
    # PS3.5 10.1.
    assert pacs.proposed == {uid: {EXPLICIT, IMPLICIT} for uid in classes(paths)}
    assert {one.file_meta.TransferSyntaxUID for one in pacs.received} == {EXPLICIT}


@pytest.mark.parametrize("writer", WRITERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("takes", [[IMPLICIT], [EXPLICIT], [IMPLICIT, EXPLICIT]], ids=["implicit", "explicit", "both"])
async def test_a_document_arrives_with_its_uids_and_values_in_what_the_peer_takes(
    tmp_path: Path, writer: Writer, takes: list[UID]
) -> None:
    path = tmp_path / "document.dcm"
    path.write_bytes(to_bytes(writer(draft(source()))))
    sent = dcmread(path)
    pacs = Pacs([(sent.SOPClassUID, takes)])
    with pacs.listening() as destination:
        await destination.send([path])
    (received,) = pacs.received
    assert received.file_meta.TransferSyntaxUID == (EXPLICIT if EXPLICIT in takes else IMPLICIT)
    if EXPLICIT in takes:
        assert received == sent
    # Implicit VR does not say whether pixels of 8 bits are OB or OW.
    assert _as_implicit(received) == _as_implicit(sent)


def _as_implicit(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = buffer.is_little_endian = True
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


@pytest.mark.parametrize("takes", [[], ["1.2.840.10008.5.1.4.1.1.2"]], ids=["nothing", "CT alone"])
async def test_a_peer_that_takes_no_such_class_is_said_to_be_that_and_not_asked_again(
    tmp_path: Path, takes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pacs = Pacs([(uid, [EXPLICIT, IMPLICIT]) for uid in [*takes, "1.2.840.10008.1.1"]])
    with pacs.listening() as destination, pytest.raises(DeliveryFailed) as caught:
        await destination.send(documents(tmp_path))
    assert (caught.value.code, caught.value.permanent) == ("dimse_no_context", True)
    logged = "".join(capsys.readouterr())
    assert "no accepted presentation context" in logged
    assert "Basic Text SR Storage" in logged
    assert "SOP class not supported" in logged


async def test_a_peer_that_takes_no_syntax_is_said_to_be_that(tmp_path: Path) -> None:
    paths = documents(tmp_path)
    pacs = Pacs([(uid, ["1.2.840.10008.1.2.2"]) for uid in classes(paths)])
    with pacs.listening() as destination, pytest.raises(DeliveryFailed) as caught:
        await destination.send(paths)
    assert (caught.value.code, caught.value.permanent) == ("dimse_no_context", True)


@pytest.mark.parametrize("result", [1, 2])
async def test_a_context_that_is_rejected_without_a_lasting_reason_is_asked_for_again(
    tmp_path: Path, result: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pynetdicom import acse

    negotiate = acse.negotiate_as_acceptor

    def rejecting(*arguments: Any) -> Any:
        contexts, roles = negotiate(*arguments)
        for context in contexts:
            context.result = result
        return contexts, roles

    monkeypatch.setattr(acse, "negotiate_as_acceptor", rejecting)
    paths = documents(tmp_path)
    with Pacs([(uid, [EXPLICIT]) for uid in classes(paths)]).listening() as destination:
        for attempt in (destination.send(paths), destination.check()):
            with pytest.raises(DeliveryFailed) as caught:
                await attempt
            assert (caught.value.code, caught.value.permanent) == ("dimse_no_context", False)


async def test_what_has_a_context_is_sent_though_another_document_has_none(tmp_path: Path) -> None:
    paths = documents(tmp_path)
    for taken in classes(paths):
        pacs = Pacs([(taken, [IMPLICIT])])
        with pacs.listening() as destination, pytest.raises(DeliveryFailed) as caught:
            await destination.send(paths)
        assert [one.SOPClassUID for one in pacs.received] == [taken]
        assert (caught.value.code, caught.value.permanent) == ("dimse_no_context", True)


async def test_what_is_compressed_is_proposed_as_it_is_and_never_converted(tmp_path: Path) -> None:
    dataset = parsed(instance())
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    compressed, native = tmp_path / "compressed.dcm", tmp_path / "native.dcm"
    compressed.write_bytes(to_bytes(dataset))
    native.write_bytes(instance())
    pacs = Pacs([(dataset.SOPClassUID, [IMPLICIT])])
    with pacs.listening() as destination, pytest.raises(DeliveryFailed) as caught:
        await destination.send([compressed, native])
    assert caught.value.code == "dimse_no_context"
    assert pacs.proposed == {dataset.SOPClassUID: {JPEG2000Lossless, EXPLICIT, IMPLICIT}}
    assert [one.SOPInstanceUID for one in pacs.received] == [dcmread(native).SOPInstanceUID]


@pytest.mark.parametrize("status", [0x0000, 0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xB305, 0x0111], ids=hex)
async def test_success_warnings_and_what_is_there_already_are_delivered(
    tmp_path: Path, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = documents(tmp_path)
    pacs = Pacs([(uid, [IMPLICIT, EXPLICIT]) for uid in classes(paths)], status)
    with pacs.listening() as destination:
        await destination.send(paths)
    assert len(pacs.received) == len(paths)
    assert ("already there" in "".join(capsys.readouterr())) is (status == 0x0111)


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(0xA700, False), (0xA701, False), (0x0110, False), (0x0122, True), (0x0124, True), (0xA900, True), (0xC000, True)],
)
async def test_a_refusal_is_final_only_where_another_attempt_cannot_mend_it(
    tmp_path: Path, status: int, permanent: bool
) -> None:
    paths = documents(tmp_path)
    pacs = Pacs([(uid, [IMPLICIT, EXPLICIT]) for uid in classes(paths)], status)
    with pacs.listening() as destination, pytest.raises(DeliveryFailed) as caught:
        await destination.send(paths)
    assert (caught.value.code, caught.value.permanent) == (f"dimse_{status:04X}", permanent)
