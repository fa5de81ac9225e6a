"""Studies for tests: requests with instances, and a service that works on them."""

import asyncio
import time
from typing import Any

import httpx

from app.settings import Settings
from benchmarks.instances import damaged, instance, multipart, parsed

__all__ = [
    "DONE",
    "damaged",
    "failures",
    "finished",
    "instance",
    "multipart",
    "other_failures",
    "parsed",
    "quick",
    "stored",
    "stow",
]

DONE = ("done", "failed", "cancelled")


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


async def finished(client: httpx.AsyncClient, study: str, revision: int = 1, seconds: float = 60.0) -> dict[str, Any]:
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
