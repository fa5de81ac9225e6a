"""The gateway alone, on the fakes and on one processor: what HTTP, routing, limits, logs and audit cost a request."""

import asyncio
import io
import os
import sys
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import psutil
from PIL import Image

from benchmarks.clients.http import Body
from benchmarks.clients.raw import Sender, whole
from benchmarks.contenders.served import ServedContender
from benchmarks.measure import Ratio, Result, Spread, closed_loop, in_turn, percentile, timed, without_collections
from benchmarks.service import FAKES, Service, on_core
from benchmarks.suite import Suite

_CLIENTS = 16
_REQUESTS = 1_000
_PACED_SECONDS = 8.0
_GOAL_RATE = 400.0
# Without what makes the most of a drawing's cost, which is no work of the gateway's own.
_UNMARKED = {"CXR_DRAW__COPY_LIMIT": "off", "CXR_DRAW__SIGNED": "false"}


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))).save(buffer, "PNG")
    return buffer.getvalue()


def _bodies() -> dict[str, Body]:
    image = _png()
    return {
        "report": Body.from_image("/v1/reports", image),
        "answer": Body.from_image("/v1/answers", image, question="Is there pneumonia?"),
        "report, streamed": Body.from_image("/v1/reports", image, accept="text/event-stream"),
        "drawing": Body.from_json("/v1/images/generations", {"prompt": "Normal.", "seed": 1}),
    }


async def gateway(suite: Suite) -> Result:
    """Requests a second of 16 clients without a pause, their latency, the gateway's processor time for one; and the
    latency while 400 a second arrive, beside a server that does nothing.
    """
    cores = sorted(os.sched_getaffinity(0))
    service = Service(suite.folder / "gateway", program=FAKES, core=cores[-1])
    bare = ServedContender(
        [*on_core(cores[-1]), sys.executable, "-m", "benchmarks.contenders.bare"], suite.folder / "gateway" / "bare.log"
    )
    requests = {name: whole(body) for name, body in _bodies().items()}
    figures: dict[str, dict[str, float]] = {}
    rates: list[float] = []
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[:-1]))
    try:
        with service, without_collections(), closing(Sender(service.url)) as sender:
            for name, request in requests.items():
                figures[name], found = await _closed(service, sender, request, suite.rounds)
                if name == "report":
                    rates = found
            with bare, closing(Sender(bare.url)) as bare_sender:
                contenders = {
                    "gateway": partial(_paced, sender, requests["report"]),
                    "bare": partial(_paced, bare_sender, requests["report"]),
                }
                paced = await in_turn(contenders, 2 * suite.rounds - 1)
            held = service.private_mb()
        plain = Service(suite.folder / "plain", program=FAKES, core=cores[-1], settings=_UNMARKED)
        with plain, without_collections(), closing(Sender(plain.url)) as sender:
            figures["drawing, neither compared nor signed"], _ = await _closed(
                plain, sender, requests["drawing"], suite.rounds
            )
    finally:
        os.sched_setaffinity(0, set(cores))
    for name, label in (("gateway", "report, 400 a second"), ("bare", "bare server, 400 a second")):
        figures[label] = {
            "p50_ms": round(1e3 * Spread.from_values([found.p50 for found in paced[name]]).median, 2),
            "p99_ms": round(1e3 * Spread.from_values([found.p99 for found in paced[name]]).median, 2),
            "stolen_percent": round(100.0 * Spread.from_values([found.stolen for found in paced[name]]).median, 1),
        }
    figures["private_mb"] = held
    slowest = Spread.from_values([1e3 * found.p99 for found in paced["gateway"]])
    return Result(
        "gateway",
        "The gateway alone on one processor",
        figures,
        (
            Ratio("gateway: reports a second at 16 clients", Spread.from_values(rates), 400.0, 1000.0),
            Ratio("gateway: p99 in ms while 400 reports a second arrive", slowest, 15.0, 5.0, at_most=True),
        ),
        "The image is sent each time and known from the second time on; clients run on the other processor. "
        "The bare server reads the same requests and does nothing. Stolen is the processors' time that the hypervisor "
        "gave to others.",
    )


async def _closed(
    service: Service, sender: Sender, request: bytes, rounds: int
) -> tuple[dict[str, float], list[float]]:
    """Figures of clients without a pause, and the rate of each round."""

    async def one(_: int) -> float:
        return await timed(sender.answered(request))

    await closed_loop(one, _CLIENTS, _REQUESTS // 10)
    runs = []
    for _ in range(rounds):
        before = service.cpu_seconds()
        total, latencies = await closed_loop(one, _CLIENTS, _REQUESTS)
        cpu = (service.cpu_seconds() - before) / _REQUESTS
        runs.append((_REQUESTS / total, percentile(latencies, 0.5), percentile(latencies, 0.99), cpu))
    rate, p50, p99, cpu = (Spread.from_values(values).median for values in zip(*runs, strict=True))
    figures = {
        "requests_per_second": round(rate, 1),
        "p50_ms": round(1e3 * p50, 2),
        "p99_ms": round(1e3 * p99, 2),
        "cpu_ms_per_request": round(1e3 * cpu, 3),
    }
    return figures, [run[0] for run in runs]


@dataclass(frozen=True)
class _Paced:
    """Latencies in seconds while requests arrive at a rate, and the share of the processors' time that the hypervisor
    gave to others meanwhile.
    """

    p50: float
    p99: float
    stolen: float


async def _paced(sender: Sender, request: bytes, _: int) -> _Paced:
    """16 clients send 400 requests a second in all, whatever becomes of the others.

    A request that could not be sent in time counts from when it should have been.
    """
    loop = asyncio.get_running_loop()
    before, started = psutil.cpu_times(), loop.time()
    latencies: list[float] = []

    async def client_of(offset: int) -> None:
        due = started + offset / _GOAL_RATE
        while due < started + _PACED_SECONDS:
            await asyncio.sleep(max(0.0, due - loop.time()))
            await sender.answered(request)
            latencies.append(loop.time() - due)
            due += _CLIENTS / _GOAL_RATE

    await asyncio.gather(*(client_of(offset) for offset in range(_CLIENTS)))
    after = psutil.cpu_times()
    stolen = (after.steal - before.steal) / (sum(after) - sum(before))
    return _Paced(percentile(latencies, 0.5), percentile(latencies, 0.99), stolen)
