"""Latency of interactive reports while hundreds of studies are queued, over which they have priority."""

import asyncio
import json
import uuid

from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Spread, percentile, timed
from benchmarks.scenarios.reports import radiographs, reports
from benchmarks.suite import Suite

_STUDIES = 500
_IN_A_REQUEST = 25
_SIDE = 512
_REPORTS = 40
_CLIENTS = 2


async def studies(suite: Suite) -> Result:
    """p95 of interactive reports without studies, and while 500 are queued or read."""
    service = suite.service()
    try:
        async with Client(service.url) as client:
            await client.post(reports(1, 60_000_000)[0])
            idle = await _latencies(client, 61_000_000)
            for first in range(0, _STUDIES, _IN_A_REQUEST):
                await client.post(await asyncio.to_thread(_request, 62_000_000 + first))
            # The first of them have to be under way.
            while not await _jobs(client, "running"):
                await asyncio.sleep(0.1)
            busy = await _latencies(client, 63_000_000)
            left = _STUDIES - await _jobs(client, "done")
        held = service.private_mb()
    finally:
        suite.end_service()  # most of the studies are still to be read
    ratio = percentile(busy, 0.95) / percentile(idle, 0.95)
    return Result(
        "studies",
        "Interactive reports beside 500 studies",
        {
            "idle_seconds": {"p50": percentile(idle, 0.5), "p95": percentile(idle, 0.95)},
            "busy_seconds": {"p50": percentile(busy, 0.5), "p95": percentile(busy, 0.95)},
            "studies_left_at_the_end": left,
            "private_mb": held,
        },
        (
            Ratio(
                "p95 of interactive reports: 500 studies queued / idle",
                Spread.from_values([ratio]),
                2.0,
                1.3,
                at_most=True,
            ),
        ),
        f"{_REPORTS} reports of {_CLIENTS} clients without a pause, each time on other images. The studies hold a file "
        f"of {_SIDE} x {_SIDE} pixels each.",
    )


async def _latencies(client: Client, first: int) -> list[float]:
    bodies = iter(reports(_REPORTS, first))
    found: list[float] = []

    async def ask() -> None:
        for body in bodies:
            found.append(await timed(client.post(body)))

    await asyncio.gather(*(ask() for _ in range(_CLIENTS)))
    return found


async def _jobs(client: Client, state: str) -> int:
    return int(json.loads(await client.get(f"/v1/jobs?limit=1&state={state}"))["total"])


def _request(first: int) -> Body:
    return stow(radiographs(_IN_A_REQUEST, first, _SIDE))


def stow(instances: list[bytes]) -> Body:
    """A STOW-RS request with these instances."""
    boundary = uuid.uuid4().hex
    parts = b"".join(
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + b"\r\n" for data in instances
    )
    content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return Body("/dicom-web/studies", parts + f"--{boundary}--\r\n".encode(), content_type)
