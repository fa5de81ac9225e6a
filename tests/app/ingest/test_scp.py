"""C-STORE and C-ECHO by real SCUs: pynetdicom's and dcmtk's."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from app.dicom.status import FailureReason
from app.ingest.scp import StorageScp
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.intake import FakeIntake, listening
from tests.support.studies import instance, parsed

pytestmark = FAILED_CONNECTIONS


CR = ComputedRadiographyImageStorage


def associate(scp: StorageScp, calling: str = "SENDER", called: str = "LLMCXR", **options: Any) -> Any:
    entity = AE(ae_title=calling)
    entity.add_requested_context(CR, ExplicitVRLittleEndian)
    entity.add_requested_context("1.2.840.10008.1.1")
    return entity.associate("127.0.0.1", scp.port, ae_title=called, **options)


def test_a_stored_instance_arrives_byte_for_byte(intake: FakeIntake) -> None:
    sent = parsed(instance())
    with listening(intake) as scp:
        association = associate(scp)
        assert association.send_c_echo().Status == 0x0000
        assert association.send_c_store(sent).Status == 0x0000
        assert [sender.split("-")[0] for sender in intake.senders] == ["SENDER"]
        association.release()
    assert parsed(intake.kept[0].read_bytes()) == sent


def test_strangers_and_wrong_addresses_are_rejected_and_logged(
    intake: FakeIntake, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(intake, allowed_aes=("PACS",)) as scp:
        assert associate(scp, calling="STRANGER").is_rejected
        assert associate(scp, calling="PACS", called="OTHER").is_rejected
        allowed = associate(scp, calling="PACS")
        assert allowed.is_established
        allowed.release()
    logged = capsys.readouterr()
    assert "association rejected" in logged.out + logged.err
    assert "STRANGER" in logged.out + logged.err


def test_more_associations_than_allowed_are_rejected(intake: FakeIntake) -> None:
    with listening(intake, max_associations=1) as scp:
        first = associate(scp)
        assert associate(scp).is_rejected
        first.release()


def test_an_unknown_transfer_syntax_or_class_is_no_accepted_context(intake: FakeIntake) -> None:
    entity = AE()
    entity.add_requested_context(CR, "1.2.3.4.5.6")
    entity.add_requested_context("1.2.3.4.5.6.7")
    entity.add_requested_context(CTImageStorage)
    with listening(intake) as scp:
        association = entity.associate("127.0.0.1", scp.port, ae_title="LLMCXR")
        assert [context.abstract_syntax for context in association.accepted_contexts] == [CTImageStorage]
        association.release()


def test_garbage_is_refused_and_the_association_goes_on(intake: FakeIntake, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = parsed(instance()), parsed(instance())
    bad.StudyInstanceUID = "not a uid"
    with listening(intake) as scp:
        association = associate(scp)
        answer = association.send_c_store(bad)
        assert answer.Status == FailureReason.CANNOT_UNDERSTAND
        assert len(answer.ErrorComment) <= 64
        assert association.send_c_store(good).Status == 0x0000
        association.release()
    logged = capsys.readouterr()
    assert "SAMPLE" not in logged.out + logged.err + answer.ErrorComment


def test_a_full_disk_is_out_of_resources(intake: FakeIntake) -> None:
    intake.full = True
    with listening(intake) as scp:
        association = associate(scp)
        assert association.send_c_store(parsed(instance())).Status == FailureReason.OUT_OF_RESOURCES
        association.release()


def test_dcmtk_sends_and_echoes(intake: FakeIntake, tmp_path: Path) -> None:
    if shutil.which("storescu") is None:
        pytest.skip("dcmtk is not installed (make peers)")
    path = tmp_path / "sent.dcm"
    path.write_bytes(instance())
    with listening(intake) as scp:
        port = str(scp.port)
        subprocess.run(["echoscu", "-aec", "LLMCXR", "127.0.0.1", port], check=True)
        subprocess.run(["storescu", "-aec", "LLMCXR", "127.0.0.1", port, str(path)], check=True)
    assert parsed(intake.kept[0].read_bytes()).PixelData == parsed(path.read_bytes()).PixelData


def test_tls_lets_in_who_trusts_the_certificate(intake: FakeIntake, tmp_path: Path) -> None:
    import ssl

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    with listening(intake, tls_certificate=certificate, tls_key=key) as scp:
        context = ssl.create_default_context(cafile=certificate)
        association = associate(scp, tls_args=(context, "localhost"))
        assert association.send_c_store(parsed(instance())).Status == 0x0000
        association.release()
        assert not associate(scp).is_established
