"""Ingest rate: STOW-RS with 8 senders, C-STORE with 4 associations, and a bare loop.

`python -m benchmarks.ingest [--instances 5000]`. The bare loop parses, writes, fsyncs and inserts (a commit each)
one instance after the other, in this process, on the same disk. The service runs on the fakes and waits for its
studies, so that no model shares its cores; the senders do. Prints JSON.
"""

import argparse
import http.client
import io
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from benchmarks.instances import instance, parsed
from benchmarks.ports import free_port
from benchmarks.service import FakeService

_SIDE = 362  # 256 KB of 16-bit pixels
_SENDERS, _ASSOCIATIONS = 8, 4
_IN_A_STUDY = 10


def _template() -> bytes:
    dataset = parsed(instance())
    dataset.Rows = dataset.Columns = _SIDE
    noise = np.random.default_rng(0).integers(0, 4096, (_SIDE, _SIDE), dtype=np.uint16)
    dataset.PixelData = noise.tobytes()
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, keyword, _uid(keyword[:2], 0, 0))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


_RUN = generate_uid().rsplit(".", 1)[-1][:20].lstrip("0").ljust(20, "1")


def _uid(kind: str, batch: int, number: int) -> str:
    """UIDs of one length, so that they can be put in place of the template's."""
    code = {"SO": 1, "St": 2, "Se": 3}[kind]
    return f"1.2.826.0.1.3680043.10.{code}.{_RUN}.1{batch:03d}{number:07d}"


def _made(template: bytes, batch: int, number: int) -> bytes:
    data = template.replace(_uid("SO", 0, 0).encode(), _uid("SO", batch, number).encode())
    for kind in ("St", "Se"):
        data = data.replace(_uid(kind, 0, 0).encode(), _uid(kind, batch, number // _IN_A_STUDY).encode())
    return data


def _bare(folder: Path, template: bytes, count: int) -> float:
    """Instances a second of the bare loop."""
    folder.mkdir()
    database = sqlite3.connect(folder / "bare.sqlite")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE instances (uid TEXT PRIMARY KEY, study TEXT, file TEXT)")
    images = [_made(template, 999, number) for number in range(count)]
    started = time.perf_counter()
    for number, data in enumerate(images):
        dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        path = folder / f"{number}.dcm"
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        row = (str(dataset.SOPInstanceUID), str(dataset.StudyInstanceUID), path.name)
        database.execute("INSERT INTO instances VALUES (?, ?, ?)", row)
        database.commit()
    return count / (time.perf_counter() - started)


def _send(port: int, template: bytes, run: str, batch: int, count: int) -> int:
    """One sender: an instance a request over one connection; returns how many were stored."""
    global _RUN
    _RUN = run
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    opening = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    stored = 0
    for number in range(count):
        connection.request(
            "POST", "/dicom-web/studies", opening + _made(template, batch, number) + b"\r\n--b--\r\n", headers
        )
        response = connection.getresponse()
        response.read()
        stored += response.status == 200
    return stored


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000.0
    raise RuntimeError("no VmRSS")


def _stow(service: FakeService, template: bytes, first_batch: int, count: int) -> float:
    each = count // _SENDERS
    with ProcessPoolExecutor(_SENDERS) as senders:
        list(senders.map(abs, range(_SENDERS * 2)))  # starts the processes
        started = time.perf_counter()
        work = [
            senders.submit(_send, service.port, template, _RUN, first_batch + index, each) for index in range(_SENDERS)
        ]
        stored = sum(one.result() for one in work)
        seconds = time.perf_counter() - started
    assert stored == each * _SENDERS, stored
    return stored / seconds


def _dimse(folder: Path, port: int, template: bytes, count: int) -> float:
    """4 storescu of dcmtk, an association each."""
    each, folders = count // _ASSOCIATIONS, []
    for index in range(_ASSOCIATIONS):
        one = folder / f"send{index}"
        one.mkdir(parents=True)
        for number in range(each):
            (one / f"{number}.dcm").write_bytes(_made(template, 500 + index, number))
        folders.append(one)
    started = time.perf_counter()
    running = [
        subprocess.Popen(["storescu", "-aec", "LLMCXR", "+sd", "127.0.0.1", str(port), str(one)]) for one in folders
    ]
    assert [process.wait() for process in running] == [0] * _ASSOCIATIONS
    return each * _ASSOCIATIONS / (time.perf_counter() - started)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    wanted = parser.parse_args()
    template = _template()
    result: dict[str, Any] = {"bytes_each": len(template), "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        folder = Path(name)
        dimse = free_port()
        service = FakeService(folder / "service", CXR_DIMSE__PORT=str(dimse), CXR_STUDY__QUIET_SECONDS="3600")
        part = wanted.instances // 5 // _SENDERS * _SENDERS
        bare, stow, resident = [], [], []
        with service:
            for batch in range(5):  # interleaved: the disk's speed changes over time
                bare.append(_bare(folder / f"bare{batch}", template, 300))
                stow.append(_stow(service, template, 1 + batch * _SENDERS, part))
                resident.append(_resident_mb(service.process.pid))
            result["instances"] = part * 5
            result["bare_per_second"] = round(statistics.median(bare), 1)
            result["stow_per_second"] = round(statistics.median(stow), 1)
            result["stow_to_bare"] = round(statistics.median(a / b for a, b in zip(stow, bare, strict=True)), 2)
            result["stow_runs"] = [round(value, 1) for value in stow]
            result["bare_runs"] = [round(value, 1) for value in bare]
            result["resident_mb_after_each_fifth"] = [round(value, 1) for value in resident]
            if shutil.which("storescu"):
                result["dimse_per_second"] = round(_dimse(folder / "dimse", dimse, template, part), 1)
                result["resident_mb_after_dimse"] = round(_resident_mb(service.process.pid), 1)
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
