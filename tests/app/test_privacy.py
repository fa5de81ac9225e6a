"""Nothing of a patient reaches logs, metrics, traces, errors or the audit log."""

import http.server
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from app.security.audit import audit_file
from tests.support.audit import events_of
from tests.support.process import ServiceProcess
from tests.support.studies import instance, multipart, parsed

NAME, IDENTITY, COMMENT = "SENTINEL^NAME", "SENTINEL-ID-4711", "sentinel free text"
PROMPT, QUESTION = "sentinel prompt words", "sentinel question words"
REPORT = "The lungs are clear."  # what the fake engine writes
SECRETS = (NAME, NAME.split("^")[0], IDENTITY, COMMENT, PROMPT, QUESTION, REPORT, "entinel", "ENTINEL")


class Collector:
    """An OTLP endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        self.received = b""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.received += self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @contextmanager
    def running(self) -> Iterator["Collector"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _use_everything(service: ServiceProcess, dimse_port: int, image: bytes) -> list[str]:
    """Requests that succeed and that fail, each with secrets; returns the bodies of the failures."""
    failures: list[str] = []
    with httpx.Client(base_url=service.url, timeout=30) as client:
        files = {"image": image}
        assert client.post("/v1/reports", files=files, data={"instruction": PROMPT}).status_code == 200
        assert client.post("/v1/answers", files=files, data={"question": QUESTION}).status_code == 200
        assert client.post("/v1/images/generations", json={"prompt": PROMPT}).status_code == 200
        body, headers = multipart([image, COMMENT.encode()])
        assert client.post("/dicom-web/studies", content=body, headers=headers).status_code == 202
        client.get("/dicom-web/studies", params={"PatientName": NAME, "PatientID": IDENTITY})
        for response in (
            client.post("/v1/reports", files={"image": COMMENT.encode()}),
            client.post("/v1/reports", files={"image": image[:-1000]}, data={"temperature": COMMENT}),
            client.post("/v1/reports", files=files, headers={"Accept": f"{COMMENT}/x"}),
            client.post("/v1/images/generations", json={"prompt": PROMPT, "seed": COMMENT, "size": COMMENT}),
            client.post("/v1/images/generations", json={"prompt": PROMPT, "model": COMMENT}),
            client.post("/v1/images/generations", json={"prompt": PROMPT * 1000}),
            client.get(f"/dicom-web/studies/{COMMENT}"),
            client.get(f"/nothing/{COMMENT}", params={"name": NAME}),
            client.get("/v1/jobs", params={"state": COMMENT}),
            client.get("/v1/jobs", headers={"X-Request-Id": COMMENT}, params={"limit": COMMENT}),
        ):
            assert response.status_code >= 400
            failures.append(response.text)
        dataset = pydicom.dcmread(io.BytesIO(image))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        entity = AE(ae_title="SENDER")
        entity.add_requested_context(dataset.SOPClassUID, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", dimse_port, ae_title="LLMCXR")
        assert association.send_c_store(dataset).Status == 0
        association.release()
        until = time.monotonic() + 30.0
        # The destination answers nobody, so a study that was read stays at its delivery.
        while not client.get("/v1/jobs", params={"state": "delivering"}).json()["total"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        failures.append(client.get("/metrics").text)
    return failures


def test_nothing_of_a_patient_is_written_anywhere_but_in_its_study(tmp_path: Path) -> None:
    from tests.support.orthanc import free_port

    port = free_port()
    image = instance(PatientName=NAME, PatientID=IDENTITY, ImageComments=COMMENT, StudyDescription=COMMENT)
    study = str(parsed(image).StudyInstanceUID)
    with Collector().running() as collector:
        service = ServiceProcess(
            tmp_path,
            CXR_OTLP__ENDPOINT=collector.url,
            CXR_DIMSE__PORT=str(port),
            CXR_DESTINATIONS=json.dumps([{"name": "pacs", "dicomweb_url": "http://127.0.0.1:9/dicom-web"}]),
        )
        with service:
            told = "\n".join(_use_everything(service, port, image))
            assert service.stop() == 0
    traces = collector.received.decode("latin-1")
    log = service.log.read_text()
    audit = audit_file(service.state).read_text()
    assert events_of(service.state)
    for name in ("C-STORE", "study.encode", "study.generate", "study.read", "POST /v1/reports", "decode", "encode"):
        assert name in traces, name
    for where, text in (("log", log), ("traces", traces), ("audit", audit), ("errors and metrics", told)):
        for secret in SECRETS:
            assert secret not in text, (where, secret)
        assert study not in text, where
