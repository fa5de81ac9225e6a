"""Presentation contexts: every storage SOP class of the standard, images only in what is decoded here."""

import itertools
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRLittleEndian, ImplicitVRLittleEndian, UID_dictionary
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import negotiate_as_acceptor

from app.dicom.uids import is_image_class, storage_classes
from app.imaging.syntaxes import DECODED, LOSSLESS, LOSSY, UNCOMPRESSED
from app.ingest.contexts import accepted_contexts
from app.store.tables import instances
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.ingest import Held
from tests.support.intake import FakeIntake, listening
from tests.support.studies import instance, parsed

pytestmark = FAILED_CONNECTIONS
ACCEPTED = accepted_contexts()
SYNTAXES = [UID(uid) for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
UNDECODED = [syntax for syntax in SYNTAXES if syntax not in DECODED]
IMAGES = [uid for uid in storage_classes() if is_image_class(uid)]
OTHERS = [uid for uid in storage_classes() if not is_image_class(uid)]
CR, VIDEO = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.77.1.1.1"


def negotiated(sop_class: str, offered: Sequence[str]) -> str | None:
    """The transfer syntax that is accepted of a context, None where it is rejected."""
    context = build_context(sop_class, list(offered))
    context.context_id = 1
    (answer,), _ = negotiate_as_acceptor([context], ACCEPTED)
    if answer.result == 0x00:
        return str(answer.transfer_syntax[0])
    assert answer.result == 0x04  # transfer syntaxes not supported, and not the SOP class
    return None


def test_every_storage_class_of_the_dictionary_is_accepted() -> None:
    named = {uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class" and "Storage" in entry[0]}
    commitment = {"1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"}
    assert named - commitment <= set(storage_classes())
    assert [uid for uid in storage_classes() if negotiated(uid, [ExplicitVRLittleEndian]) is None] == []
    assert len({context.abstract_syntax for context in ACCEPTED}) == len(ACCEPTED) == len(storage_classes()) + 1


def test_images_are_told_from_the_rest() -> None:
    names = {UID_dictionary[uid][0] for uid in IMAGES}
    assert {"Computed Radiography Image Storage", "Secondary Capture Image Storage", "RT Image Storage"} <= names
    assert {"Digital X-Ray Image Storage - For Presentation", "X-Ray Angiographic Image Storage"} <= names
    rest = {UID_dictionary[uid][0] for uid in OTHERS if uid in UID_dictionary}
    assert {"Video Endoscopic Image Storage", "Basic Text SR Storage", "Raw Data Storage", "RT Dose Storage"} <= rest


@pytest.mark.parametrize("syntax", UNDECODED, ids=lambda syntax: syntax.name)
def test_images_are_rejected_in_what_cannot_be_decoded(syntax: UID) -> None:
    for sop_class in IMAGES:
        assert negotiated(sop_class, [syntax]) is None
        # The sender decompresses.
        for native in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            assert negotiated(sop_class, [syntax, native]) == native


@pytest.mark.parametrize("syntax", DECODED, ids=lambda syntax: syntax.name)
def test_images_are_accepted_in_what_is_decoded(syntax: UID) -> None:
    assert {negotiated(sop_class, [syntax]) for sop_class in IMAGES} == {syntax}


@pytest.mark.parametrize("syntax", AllTransferSyntaxes, ids=lambda syntax: syntax.name)
def test_what_is_no_image_is_accepted_in_all_that_it_was(syntax: UID) -> None:
    assert {negotiated(sop_class, [syntax]) for sop_class in OTHERS} == {syntax}


@pytest.mark.parametrize("sop_class", [CR, VIDEO, "1.2.840.10008.5.1.4.1.1.88.11"])
def test_of_several_the_one_that_loses_least_is_accepted_in_whatever_order_they_come(sop_class: str) -> None:
    explicit, implicit = UNCOMPRESSED[:-1], UNCOMPRESSED[-1:]
    ranks = [explicit, implicit, LOSSLESS, LOSSY]
    for better, worse in itertools.combinations(range(len(ranks)), 2):
        for one, other in itertools.product(ranks[better], ranks[worse]):
            assert negotiated(sop_class, [one, other]) == negotiated(sop_class, [other, one]) == one
    for order in (DECODED, DECODED[::-1]):
        assert negotiated(sop_class, order) == ExplicitVRLittleEndian


def test_an_instance_of_every_class_is_stored(intake: FakeIntake) -> None:
    classes = storage_classes()
    with listening(intake) as scp:
        for some in (classes[:120], classes[120:]):
            entity = AE(ae_title="SENDER")
            for uid in some:
                entity.add_requested_context(uid, ExplicitVRLittleEndian)
            association = entity.associate("127.0.0.1", scp.port, ae_title="LLMCXR")
            for uid in some:
                dataset = parsed(instance(SOPClassUID=uid, Rows=1, Columns=1))
                dataset.PixelData = b"\0\0"
                assert association.send_c_store(dataset).Status == 0x0000, uid
            association.release()
    kept = [parsed(path.read_bytes()) for path in intake.kept]
    assert [one.SOPClassUID for one in kept] == classes
    assert [one.file_meta.MediaStorageSOPClassUID for one in kept] == classes


@pytest.fixture
def association(held: Held) -> Iterator[Any]:
    """An association with a service that really stores."""
    entity = AE(ae_title="SENDER")
    for sop_class in (CR, "1.2.840.10008.5.1.4.1.1.7"):
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    with listening(held.ingestor) as scp:  # type: ignore[arg-type]
        found = entity.associate("127.0.0.1", scp.port, ae_title="LLMCXR")
        yield found
        found.release()


def store(association: Any, data: bytes, **named: str) -> tuple[int, str]:
    """Status and comment of a C-STORE whose command names other UIDs than its data set."""
    dataset = parsed(data)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = named.get("sop_class", dataset.SOPClassUID)
    request.AffectedSOPInstanceUID = named.get("instance", dataset.SOPInstanceUID)
    request.DataSet = BytesIO(encode(dataset, False, True) or b"")
    (context,) = (one for one in association.accepted_contexts if one.abstract_syntax == request.AffectedSOPClassUID)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer.Status, answer.ErrorComment or ""


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"instance": "1.2.3"}, "SOP Instance UID"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.7"}, "SOP Class UID"),
        ({"instance": "1.2.3", "sop_class": "1.2.840.10008.5.1.4.1.1.7"}, "SOP Instance UID"),
    ],
)
def test_a_data_set_that_its_command_does_not_name_is_refused_and_not_kept(
    held: Held, association: Any, named: dict[str, str], words: str
) -> None:
    data = instance()
    status, comment = store(association, data, **named)
    assert (status, words in comment) == (0xA900, True)
    assert held.spool.names() == set()
    with held.database.transaction() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(instances)).scalar() == 0
    assert store(association, data) == (0x0000, "")
