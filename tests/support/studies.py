"""Studies for tests: instances made by the project, requests, and a service that works on them."""

import asyncio
import io
import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from app.dicom.sample import sample_dicom
from app.settings import Settings

DONE = ("done", "failed", "cancelled")


def instance(**attributes: Any) -> bytes:
    """A CR of a study of its own; `attributes` replace the sample's."""
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()))
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = (generate_uid() for _ in range(3))
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "")
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=False)
    return buffer.getvalue()


def parsed(data: bytes) -> Dataset:
    """The dataset of an instance."""
    return pydicom.dcmread(io.BytesIO(data))


def multipart(parts: Sequence[bytes], content_type: str = "application/dicom") -> tuple[bytes, dict[str, str]]:
    """Body and headers of a STOW-RS request."""
    boundary = uuid.uuid4().hex
    body = b"".join(f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode() + part + b"\r\n" for part in parts)
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    return body + f"--{boundary}--\r\n".encode(), headers


async def stow(client: httpx.AsyncClient, *parts: bytes, study: str | None = None) -> httpx.Response:
    """Post instances."""
    body, headers = multipart(parts)
    path = "/dicom-web/studies" + (f"/{study}" if study else "")
    return await client.post(path, content=body, headers=headers)


def failures(response: httpx.Response) -> list[int]:
    """Failure reasons of the instances that have UIDs."""
    return [item["00081197"]["Value"][0] for item in response.json().get("00081198", {}).get("Value", [])]


def other_failures(response: httpx.Response) -> list[int]:
    """Failure reasons of the parts that could not be read."""
    return [item["00081197"]["Value"][0] for item in response.json().get("0008119A", {}).get("Value", [])]


def stored(response: httpx.Response) -> list[str]:
    """SOP Instance UIDs of what was stored."""
    return [item["00081155"]["Value"][0] for item in response.json().get("00081199", {}).get("Value", [])]


def quick(settings: Settings, **study: Any) -> Settings:
    """Settings under which a study is complete at once."""
    changed = settings.study.model_copy(update={"quiet_seconds": 0.05, "retry_seconds": 0.01, **study})
    return settings.model_copy(update={"study": changed})


async def finished(client: httpx.AsyncClient, study: str, revision: int = 1, seconds: float = 15.0) -> dict[str, Any]:
    """The job of a study's revision, once it is over."""
    until = time.monotonic() + seconds
    listed: list[dict[str, Any]] = []
    while time.monotonic() < until:
        listed = (await client.get("/v1/jobs", params={"study": study})).json()["data"]
        for job in listed:
            if job["revision"] == revision and job["state"] in DONE:
                detail: dict[str, Any] = (await client.get(f"/v1/jobs/{job['id']}")).json()
                return detail
        await asyncio.sleep(0.05)
    raise AssertionError(f"the job is not over: {listed}")
