"""The peers of compose reach the service, and it them, with what the first start made."""

import json
import time
from pathlib import Path

import httpx

from app.settings import load_settings
from tests.support.compose import Volumes
from tests.support.orthanc import free_port, orthanc
from tests.support.process import ServiceProcess
from tests.support.studies import instance, parsed


def test_a_study_goes_from_orthanc_to_the_service_and_its_report_back_with_keys_and_passwords(tmp_path: Path) -> None:
    port = free_port()
    service = ServiceProcess(tmp_path / "service")
    volumes = Volumes(tmp_path / "volumes")
    volumes.state.rmdir()
    service.state.mkdir(parents=True, exist_ok=True)
    volumes.state = service.state
    volumes.start()
    settings = json.loads(volumes.read("orthanc/orthanc.json"))
    settings["DicomWeb"] |= {"Enable": True, "Root": "/dicom-web/"}
    settings["DicomWeb"]["Servers"]["llmcxr"]["Url"] = f"{service.url}/dicom-web/"
    (destination,) = load_settings(volumes.secrets / "api" / "cxr.toml").destinations
    assert destination.password is not None
    service._environment["CXR_DESTINATIONS"] = json.dumps(
        [
            {
                "name": destination.name,
                "dicomweb_url": f"http://127.0.0.1:{port}/dicom-web",
                "username": destination.username,
                "password": destination.password.get_secret_value(),
            }
        ]
    )
    with orthanc(tmp_path / "orthanc", port=port, settings=settings) as pacs, service:
        assert httpx.get(f"{pacs.url}/system", timeout=10).status_code == 401
        assert httpx.get(f"{service.url}/metrics", timeout=10).status_code == 401
        scrape = {"Authorization": f"Bearer {volumes.read('prometheus/key')}"}
        assert "cxr_ready" in httpx.get(f"{service.url}/metrics", headers=scrape, timeout=10).text
        study = instance()
        uid = parsed(study).StudyInstanceUID
        pacs.post("/instances", study)
        found = pacs.post("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": uid}})
        pacs.post("/dicom-web/servers/llmcxr/stow", {"Resources": found, "Synchronous": True})
        until = time.monotonic() + 30.0
        while not pacs.instances(uid, "SR"):
            assert time.monotonic() < until, "no report came back"
            time.sleep(0.2)
