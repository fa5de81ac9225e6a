"""What one DIMSE peer may send: PDUs, commands and data sets end where they are longer than they may be."""

import os
import resource
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from app.ingest.scp import StorageScp
from benchmarks.hostile import encoded, radiograph_header
from benchmarks.peer import (
    ABORTED,
    ACCEPTED,
    COMMAND,
    COMMAND_LAST,
    CR,
    DATA,
    DATA_LAST,
    ECHO,
    STORE,
    VERIFICATION,
    command,
    fragment,
    item,
    pdu,
    peer,
    request,
)
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.intake import FakeIntake, listening

pytestmark = FAILED_CONNECTIONS


@pytest.fixture
def scp(intake: FakeIntake) -> Iterator[StorageScp]:
    with listening(intake, max_bytes=3_000_000) as started:
        yield started


def resident_mb() -> float:
    pages = int(Path(f"/proc/{os.getpid()}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def data_set_of(dataset: Dataset) -> bytes:
    return encoded(dataset, implicit=True)


def eventually(intake: FakeIntake, files: int) -> bool:
    until = time.monotonic() + 5.0
    while len(list(intake.folder.iterdir())) != files and time.monotonic() < until:
        time.sleep(0.02)
    return len(list(intake.folder.iterdir())) == files


@pytest.mark.parametrize(
    "header",
    [
        struct.pack(">BBI", 1, 0, 0xFFFFFFFF),
        struct.pack(">BBI", 1, 0, 1_048_577),
        struct.pack(">BBI", 2, 0, 0xFFFFFFFF),
        struct.pack(">BBI", 4, 0, 0xFFFFFFFF),
        struct.pack(">BBI", 5, 0, 5),
        struct.pack(">BBI", 7, 0, 1_000_000),
    ],
)
def test_a_first_pdu_that_is_too_long_is_aborted_at_its_header(scp: StorageScp, header: bytes) -> None:
    with peer(scp.port) as stranger:
        stranger.send(header)
        assert stranger.answer()[0] == ABORTED
        assert stranger.answer()[0] is None
    with peer(scp.port) as stranger:
        stranger.send(header)
        assert stranger.flood(bytes(1_000_000), 600) < 50


@pytest.mark.parametrize("kind", [1, 4, 6])
def test_a_pdu_longer_than_negotiated_is_aborted_at_its_header(scp: StorageScp, kind: int) -> None:
    with peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        sender.send(fragment(COMMAND_LAST, STORE))
        sender.send(struct.pack(">BBI", kind, 0, 131_073 if kind == 4 else 0xFFFFFFFF))
        assert sender.answer()[0] == ABORTED
    with peer(scp.port) as another:
        assert another.associate() == ACCEPTED


def test_an_association_request_of_too_many_items_is_aborted_unparsed(scp: StorageScp) -> None:
    tiny = request(contexts=1)[6:] + item(0x20, bytes(4) + item(0x40, b"1") * 12_000)
    for asked in (request(contexts=10_000), request(contexts=129), pdu(1, tiny)):
        started = time.monotonic()
        with peer(scp.port) as stranger:
            stranger.send(asked)
            assert stranger.answer()[0] == ABORTED
        assert time.monotonic() - started < 2.0
    with peer(scp.port) as sender:
        sender.send(request(contexts=128))
        assert sender.answer()[0] == ACCEPTED


def test_a_data_set_past_the_limit_is_aborted_while_it_comes_and_nothing_is_left(
    scp: StorageScp, intake: FakeIntake
) -> None:
    before = resident_mb()
    with peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        sender.send(fragment(COMMAND_LAST, STORE))
        assert sender.flood(fragment(DATA, bytes(100_000)), 1_500) < 50
    assert eventually(intake, 0)
    assert resident_mb() - before < 50


def test_a_data_set_lies_on_disk_while_it_comes_and_is_removed_where_it_breaks_off(
    scp: StorageScp, intake: FakeIntake
) -> None:
    with peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        sender.send(fragment(COMMAND_LAST, STORE))
        for _ in range(20):
            sender.send(fragment(DATA, bytes(100_000)))
        assert eventually(intake, 1)
    assert eventually(intake, 0)
    assert not intake.kept


@pytest.mark.parametrize(
    "messages",
    [
        [fragment(COMMAND, ECHO)] * 500,
        [fragment(COMMAND_LAST, command(0x30, VERIFICATION, data_set=True)), fragment(DATA, bytes(1_000))],
        [fragment(COMMAND_LAST, command(0x20, CR, data_set=True)), fragment(DATA, bytes(1_000))],
        [fragment(COMMAND_LAST, command(0x100, CR, b"1.2.3"))],
        [fragment(COMMAND_LAST, command(0x8001, CR, b"1.2.3"))],
        [fragment(COMMAND_LAST, b"")],
        [fragment(COMMAND_LAST, b"\xff" * 100)],
        [fragment(DATA, bytes(1_000))],
        [fragment(COMMAND_LAST, STORE), fragment(COMMAND, ECHO)],
        [pdu(4, fragment(COMMAND_LAST, ECHO)[6:] * 2)],
        [pdu(4, struct.pack(">IB", 1, 1))],
        [fragment(COMMAND_LAST, STORE, 99), fragment(DATA_LAST, bytes(1_000), 99)],
    ],
    ids=[
        "command without end", "data set of an echo", "C-FIND", "N-EVENT-REPORT", "a response", "empty command",
        "garbage", "data without command", "command in data", "two messages in a PDU", "no control", "unknown context",
    ],
)  # fmt: skip
def test_messages_that_are_not_served_end_the_association(
    scp: StorageScp, intake: FakeIntake, messages: list[bytes]
) -> None:
    with peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        try:
            for message in messages:
                sender.send(message)
        except OSError:
            pass
        assert sender.ended_within(5.0)
    assert eventually(intake, 0)
    with peer(scp.port) as another:
        assert another.associate(abstract=VERIFICATION) == ACCEPTED
        assert another.echo() == 4


def test_requests_that_do_not_wait_for_their_answers_are_taken_one_by_one(scp: StorageScp, intake: FakeIntake) -> None:
    with peer(scp.port) as sender:
        assert sender.associate() == ACCEPTED
        for _ in range(5):
            header = radiograph_header()
            header.SOPInstanceUID = "1.2.3.4.5.6.7.8"
            sender.send(fragment(COMMAND_LAST, STORE) + fragment(DATA_LAST, data_set_of(header)))
        assert [sender.answer()[0] for _ in range(5)] == [4] * 5
    assert len(intake.kept) == 5


def test_a_command_that_names_another_instance_is_a_mismatch(scp: StorageScp, intake: FakeIntake) -> None:
    header = radiograph_header()
    for named, status in ((b"1.2.3", 0xA900), (b"../../../x", 0xA900), (header.SOPInstanceUID.encode(), 0x0000)):
        with peer(scp.port) as sender:
            assert sender.associate() == ACCEPTED
            sender.send(fragment(COMMAND_LAST, command(1, CR, named, data_set=True)))
            sender.send(fragment(DATA_LAST, data_set_of(header)))
            kind, answer = sender.answer()
            # (0000,0900) Status US
            at = answer.index(b"\x00\x00\x00\x09\x02\x00\x00\x00") + 8
            assert (kind, int.from_bytes(answer[at : at + 2], "little")) == (4, status)
    assert len(list(intake.folder.iterdir())) == 1


def test_a_disk_that_is_full_in_the_middle_is_out_of_resources_and_the_association_goes_on(
    scp: StorageScp, intake: FakeIntake
) -> None:
    intake.full = True
    entity = AE()
    entity.add_requested_context(CR.decode())
    association = entity.associate("127.0.0.1", scp.port, ae_title="LLMCXR")
    sent = radiograph_header()
    assert association.send_c_store(_with_meta(sent)).Status == 0xA700
    intake.full = False
    assert association.send_c_store(_with_meta(sent)).Status == 0x0000
    association.release()


def _with_meta(dataset: Dataset) -> Dataset:
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    return dataset
