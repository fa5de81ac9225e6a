"""The round trip with a real Orthanc: studies by STOW-RS and C-STORE out of it, SRs back into the same studies."""

import io
import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import httpx
import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless

from tests.app.ingest.test_transfer_syntaxes import written
from tests.support.orthanc import Orthanc, free_port, orthanc
from tests.support.peers import dciodvfy_errors
from tests.support.process import ServiceProcess
from tests.support.studies import failures, instance, multipart, parsed


def _await_report(
    pacs: Orthanc, study: str, modality: str = "SR", count: int = 1, seconds: float = 30.0
) -> list[bytes]:
    until = time.monotonic() + 30.0
    while time.monotonic() < until:
        found = pacs.instances(study, modality)
        if len(found) >= count:
            return found
        time.sleep(0.2)
    raise AssertionError("no report came back")


@pytest.mark.parametrize("way_back", ["stow", "dimse"])
def test_a_study_from_orthanc_comes_back_as_an_sr_in_the_same_study(tmp_path: Path, way_back: str) -> None:
    dimse, port = free_port(), free_port()
    service = ServiceProcess(
        tmp_path / "service",
        CXR_DIMSE__PORT=str(dimse),
        CXR_DIMSE__ALLOWED_AES='["PACS"]',
        CXR_STUDY__DOCUMENTS='["basic_text", "measurement", "capture"]',
    )
    with orthanc(tmp_path / "orthanc", service_url=service.url, service_dimse=dimse, port=port) as pacs:
        destination = (
            {"name": "pacs", "dicomweb_url": f"{pacs.url}/dicom-web"}
            if way_back == "stow"
            else {"name": "pacs", "host": "127.0.0.1", "port": pacs.dimse_port, "ae_title": "PACS"}
        )
        service._environment["CXR_DESTINATIONS"] = json.dumps([destination])
        with service:
            by_stow, by_dimse = instance(), instance()
            pacs.post("/instances", by_stow)
            pacs.post("/instances", by_dimse)
            studies = {parsed(data).StudyInstanceUID: data for data in (by_stow, by_dimse)}
            found = {
                uid: pacs.post("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": uid}})[0]
                for uid in studies
            }
            pacs.post(
                "/dicom-web/servers/cxr/stow",
                {"Resources": [found[parsed(by_stow).StudyInstanceUID]], "Synchronous": True},
            )
            pacs.post("/modalities/cxr/store", [found[parsed(by_dimse).StudyInstanceUID]])
            for uid, sent in studies.items():
                reports = _await_report(pacs, uid, "SR", 2)
                captures = _await_report(pacs, uid, "OT")
                assert (len(reports), len(captures)) == (2, 1)
                for number, data in enumerate([*reports, *captures]):
                    document = parsed(data)
                    assert document.StudyInstanceUID == uid
                    assert document.PatientID == parsed(sent).PatientID
                    path = tmp_path / f"{uid[-8:]}-{number}.dcm"
                    path.write_bytes(data)
                    assert dciodvfy_errors(path) == []
                    if document.Modality == "SR":
                        assert document.VerificationFlag == "UNVERIFIED"
                        _dsrdump_reads(path)
            # The feedback loop: what we wrote is sent to us again and starts nothing.
            pacs.post("/modalities/cxr/store", list(found.values()))
            time.sleep(1.0)
            assert service.jobs()["total"] == 2


def _dsrdump_reads(path: Path) -> None:
    if shutil.which("dsrdump") is None:
        pytest.skip("dcmtk is not installed (make peers)")
    read = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    assert "Finding" in read.stdout


def test_what_orthanc_exports_of_a_study_and_sends_of_it_is_the_study_that_is_held(tmp_path: Path) -> None:
    dimse = free_port()
    service = ServiceProcess(tmp_path / "service", CXR_DIMSE__PORT=str(dimse), CXR_DIMSE__ALLOWED_AES='["PACS"]')
    with orthanc(tmp_path / "orthanc", service_url=service.url, service_dimse=dimse) as pacs, service:
        sent = [instance(ImageType=["ORIGINAL", "PRIMARY"]), written(JPEGLSLossless), written(ImplicitVRLittleEndian)]
        for data in sent:
            assert _stow(service, data) == (200, [])
            pacs.post("/instances", data)
        service.wait_until_over(3)
        exported = []
        for study in pacs.get("/studies"):
            archive = httpx.get(f"{pacs.url}/studies/{study}/archive", timeout=30).content
            with zipfile.ZipFile(io.BytesIO(archive)) as files:
                exported += [files.read(name) for name in files.namelist()]
        assert len(exported) == 3
        for data in exported:
            assert _stow(service, data) == (200, [])
        # Orthanc fails such a job where the answer is not a success, and transcodes what is not accepted.
        assert pacs.post("/modalities/cxr/store", pacs.get("/studies"))["FailedInstancesCount"] == 0
        pacs.post("/dicom-web/servers/cxr/stow", {"Resources": pacs.get("/studies"), "Synchronous": True})
        time.sleep(1.0)
        assert service.jobs()["total"] == 3


def _stow(service: ServiceProcess, data: bytes) -> tuple[int, list[int]]:
    body, headers = multipart([data])
    response = httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers, timeout=30)
    return response.status_code, failures(response)
