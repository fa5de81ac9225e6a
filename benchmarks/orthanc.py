"""A real Orthanc with its DICOMweb plugin, started on free ports."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.ports import free_port

_PLUGINS = Path("/usr/share/orthanc/plugins")


class OrthancMissing(RuntimeError):
    """Orthanc is not installed."""


@dataclass
class Orthanc:
    """A running Orthanc."""

    url: str
    dimse_port: int
    process: "subprocess.Popen[bytes]"
    auth: tuple[str, str] | None = None

    def get(self, path: str) -> Any:
        """JSON of its REST interface."""
        return httpx.get(f"{self.url}{path}", auth=self.auth, timeout=30).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        """Post bytes or JSON; returns JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = httpx.post(f"{self.url}{path}", content=content, auth=self.auth, timeout=60)
        return answer.raise_for_status().json()

    def instances(self, study_uid: str, modality: str) -> list[bytes]:
        """Files of a study's instances of a modality."""
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid, "Modality": modality}}
        found = self.post("/tools/find", query)
        files = [f"{self.url}/instances/{one}/file" for one in found]
        return [httpx.get(file, auth=self.auth, timeout=30).content for file in files]

    def study_of(self, series: str) -> str:
        """Study Instance UID of a series that it names."""
        parent = self.get(f"/series/{series}")["ParentStudy"]
        return str(self.get(f"/studies/{parent}")["MainDicomTags"]["StudyInstanceUID"])

    def reports(self) -> list[dict[str, str]]:
        """Study and SOP Instance UID of every SR that it holds."""
        query = {"Level": "Instance", "Expand": True, "Query": {"Modality": "SR"}}
        found = self.post("/tools/find", query)
        return [{"sop": one["MainDicomTags"]["SOPInstanceUID"], "parent": one["ParentSeries"]} for one in found]


@contextlib.contextmanager
def orthanc(
    folder: Path,
    *,
    service_url: str = "",
    service_dimse: int = 0,
    port: int = 0,
    settings: dict[str, Any] | None = None,
) -> Iterator[Orthanc]:
    """Run Orthanc with a peer `cxr` by DICOMweb and a modality `cxr` by DIMSE. Raises OrthancMissing.

    `settings` take the place of its own; with users there, the first of them asks.
    """
    binary = shutil.which("Orthanc")
    if binary is None:
        raise OrthancMissing("Orthanc is not installed (make peers)")
    folder.mkdir(parents=True, exist_ok=True)
    http, dimse = port or free_port(), free_port()
    configuration = {
        "Name": "PACS",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": http,
        "DicomPort": dimse,
        "DicomAet": "PACS",
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "OverwriteInstances": False,
        "StableAge": 1,
        "DicomModalities": {"cxr": ["LLMCXR", "127.0.0.1", service_dimse or 1]},
        "Plugins": [str(_PLUGINS)],
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "Servers": {"cxr": {"Url": f"{service_url}/dicom-web/", "HasDelete": False, "ChunkedTransfers": True}},
        },
    }
    configuration |= settings or {}
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, str(path)], stdout=log, stderr=log, env={**os.environ, "LC_ALL": "C.UTF-8"})
    users: dict[str, str] = (settings or {}).get("RegisteredUsers", {})
    running = Orthanc(f"http://127.0.0.1:{http}", dimse, process, next(iter(users.items()), None))
    try:
        until = time.monotonic() + 30.0
        while True:
            try:
                running.get("/system")
                break
            except httpx.HTTPError:
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError((folder / "log").read_text()[-2000:]) from None
                time.sleep(0.1)
        yield running
    finally:
        process.terminate()
        process.wait(20)
