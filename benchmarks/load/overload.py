"""Overload: goodput at ten times the peak rate, between measurements of the peak."""

import asyncio
import io
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop
from PIL import Image

from app.dicom.sample import sample_dicom
from app.imaging import read_radiograph
from app.settings import ImagingSettings
from benchmarks.clients.http import Body
from benchmarks.clients.raw import Sender, whole

NICE = 19
_DICOM = sample_dicom()
_SIDE = 256
# A drawing takes half a minute at this concurrency: until the first ones finish, too few of them are under way, and the
# rate of answers is higher than the service can sustain.
_SETTLING_SECONDS = 60.0
_MEASURED_SECONDS = 60.0
_FACTOR = 10
_ROUNDS = 3
_LONGEST_SECONDS = 120.0
_MIX: tuple[tuple[int, str, dict[str, Any], dict[str, str]], ...] = (
    (6, "/v1/reports", {"image": _DICOM}, {}),
    (3, "/v1/answers", {"image": _DICOM}, {"question": "Is there pneumonia?"}),
    (2, "/v1/images/generations", {}, {"prompt": "Normal chest radiograph."}),
    (1, "/v1/images/tokens", {"image": _DICOM}, {}),
)


def _small() -> bytes:
    """A radiograph as a PNG: ten times the peak in DICOM would measure how fast bytes are copied on loopback."""
    buffer = io.BytesIO()
    grey = read_radiograph(_DICOM, ImagingSettings(), _SIDE).pixels
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


_IMAGE = _small()


def _requests() -> list[bytes]:
    return [
        whole(Body.from_image(path, _IMAGE, **fields) if files else Body.from_json(path, fields))
        for _, path, files, fields in _MIX
    ]


_REQUESTS = _requests()


class _Deck:
    """The mix, shuffled in groups of twelve; refused requests are repeated first. A drawing is as much work as several
    reports, so plain random choice would vary the work in a minute, and with it the rate of answers.
    """

    def __init__(self) -> None:
        self._cards: list[bytes] = []

    def draw(self) -> bytes:
        if not self._cards:
            self._cards = [
                request for request, (weight, *_) in zip(_REQUESTS, _MIX, strict=True) for _ in range(weight)
            ]
            random.shuffle(self._cards)
        return self._cards.pop()

    def put_back(self, request: bytes) -> None:
        self._cards.append(request)


async def _one(sender: Sender, deck: _Deck, outcomes: Counter[str]) -> None:
    request = deck.draw()
    try:
        status = await sender.send(request)
    except OSError as error:
        outcomes[type(error).__name__] += 1
        return
    outcomes[str(status)] += 1
    if status == 429:
        deck.put_back(request)


async def _ended(tasks: list["asyncio.Task[None]"], outcomes: Counter[str]) -> None:
    """Wait for what is under way."""
    over, late = await asyncio.wait(tasks, timeout=_LONGEST_SECONDS)
    for task in over:
        task.result()
    for task in late:
        task.cancel()
        outcomes["TimeoutError"] += 1


async def peak(url: str, clients: int) -> float:
    """Requests a second that are answered to clients that never pause, once the mix under way has settled."""
    outcomes: Counter[str] = Counter()
    started = time.monotonic()

    async def run() -> None:
        while time.monotonic() < started + _SETTLING_SECONDS + _MEASURED_SECONDS:
            await _one(sender, deck, outcomes)

    sender, deck = Sender(url), _Deck()
    tasks = [asyncio.create_task(run()) for _ in range(clients)]
    await asyncio.sleep(_SETTLING_SECONDS)
    counted, since = outcomes["200"], time.monotonic()
    await asyncio.sleep(_MEASURED_SECONDS)
    answered, elapsed = outcomes["200"] - counted, time.monotonic() - since
    await _ended(tasks, outcomes)
    sender.close()
    return answered / elapsed


async def overload(url: str, rate: float) -> dict[str, Any]:
    """Requests arrive at `rate` a second; goodput is what is answered with 200 once the mix under way has settled."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        # A process of its own: a client as busy as this one would measure itself.
        probe = subprocess.Popen([sys.executable, "-c", _PROBE, url, f"{folder}/livez.json"])
        try:
            sender, deck, started = Sender(url), _Deck(), time.monotonic()
            tasks: list[asyncio.Task[None]] = []
            warm, counted, since = started + _SETTLING_SECONDS, 0, started
            while (now := time.monotonic()) < warm + _MEASURED_SECONDS:
                if now < warm:
                    counted, since = outcomes["200"], now
                while len(tasks) < (now - started) * rate:
                    tasks.append(asyncio.create_task(_one(sender, deck, outcomes)))
                await asyncio.sleep(0.02)
            sent = len(tasks) / (time.monotonic() - started)
            goodput = (outcomes["200"] - counted) / (time.monotonic() - since)
            await _ended(tasks, outcomes)
            sender.close()
        finally:
            probe.terminate()
            probe.wait(30)
        alive = json.loads(Path(folder, "livez.json").read_text())
    return {
        "offered_per_s": round(sent, 1),
        "goodput_per_s": round(goodput, 2),
        "outcomes": dict(outcomes),
        "livez": alive["answers"],
        "livez_slowest_s": round(alive["slowest"], 2),
    }


_PROBE = """
import collections, json, signal, sys, time
import httpx

answers, slowest, over = collections.Counter(), 0.0, []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
with httpx.Client(base_url=sys.argv[1], timeout=10) as client:
    while not over:
        began = time.monotonic()
        try:
            answers[str(client.get("/livez").status_code)] += 1
        except httpx.HTTPError as error:
            answers[type(error).__name__] += 1
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.25)
open(sys.argv[2], "w").write(json.dumps({"answers": answers, "slowest": slowest}))
"""


def pressed(url: str, clients: int) -> dict[str, Any]:
    """Peaks and overloads in turn: a drift of the machine meets both alike, and each overload's goodput is held against
    the peaks beside it. To be run in a process of its own, of `NICE`: the clients stand for
    other machines, and stand back where they share the service's cores.
    """
    peaks = [uvloop.run(peak(url, clients))]
    overloads, shares = [], []
    for _ in range(_ROUNDS):
        overloads.append(uvloop.run(overload(url, _FACTOR * peaks[0])))
        peaks.append(uvloop.run(peak(url, clients)))
        shares.append(round(overloads[-1]["goodput_per_s"] / statistics.fmean(peaks[-2:]), 3))
    return {
        "peaks_per_s": [round(rate, 2) for rate in peaks],
        "overloads": overloads,
        "goodput_shares_of_peak": shares,
    }


def render(found: dict[str, Any], clients: int) -> list[str]:
    """What `pressed` has found, as lines of Markdown."""
    peaks = ", ".join(str(rate) for rate in found["peaks_per_s"])
    lines = [
        f"Images are PNGs of {len(_IMAGE) / 1000:.0f} KB, clients run at nice {NICE}. {clients} clients without "
        f"a pause, and ten times what the first of them got, in turn; the mix is dealt by twelves, and what is "
        f"refused comes again first. The peaks: {peaks} requests a second.",
        "",
        "| offered a second | answered with 200 | of the peaks beside it | answers by status | `/livez` | slowest s |",
        "|---|---|---|---|---|---|",
    ]
    for one, share in zip(found["overloads"], found["goodput_shares_of_peak"], strict=True):
        statuses, alive = (
            ", ".join(f"{name}: {count}" for name, count in sorted(one[key].items())) for key in ("outcomes", "livez")
        )
        cells = (one["offered_per_s"], one["goodput_per_s"], share, statuses, alive, one["livez_slowest_s"])
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines
