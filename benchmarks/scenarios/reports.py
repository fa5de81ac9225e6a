"""Reading: reports of DICOM files at 1, 8 and 32 at once, a mix with drawings, and a second question on one image."""

import asyncio
import io

import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import generate_uid

from app.dicom.sample import sample_dicom
from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Spread, by_round, closed_loop, percentile, timed
from benchmarks.scenarios.drawing import drawings
from benchmarks.suite import Suite

CONCURRENCY = (1, 8, 32)
_TOKENS = "32"
_ANSWER_TOKENS = "8"
# Pairs of questions a round by the image's side: 2,000 is what radiographs have, 1,024 what the other scenarios send.
_ASKED_ABOUT = {2000: 8, 1024: 4}
_MIXED_CLIENTS, _MIXED_REQUESTS = 16, 32


def radiographs(count: int, first: int, side: int = 1024) -> list[bytes]:
    """DICOM files of `side` x `side` that differ in their pixels and UIDs, so that nothing is known from before."""
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()))
    pixels = np.asarray(Image.fromarray(dataset.pixel_array).resize((side, side), Image.Resampling.BICUBIC))
    dataset.Rows = dataset.Columns = side
    made = []
    for number in range(first, first + count):
        noise = np.random.default_rng(number).integers(0, 64, (1, pixels.shape[1]), dtype=pixels.dtype)
        dataset.PixelData = np.minimum(pixels + noise, (1 << dataset.BitsStored) - 1).astype(pixels.dtype).tobytes()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        made.append(buffer.getvalue())
    return made


def reports(count: int, first: int) -> list[Body]:
    """Requests for reports on different radiographs."""
    return [Body.from_image("/v1/reports", image, max_tokens=_TOKENS) for image in radiographs(count, first)]


async def report(suite: Suite) -> Result:
    """Seconds of concurrent reports, each on a DICOM file that the service has not seen."""
    async with Client(suite.service().url) as client:
        await client.post(reports(1, 10_000_000)[0])
        seconds: dict[int, list[float]] = {count: [] for count in CONCURRENCY}
        for number in range(suite.rounds):
            for count in CONCURRENCY:
                bodies = reports(count, 100_000 * number + 1000 * count)
                seconds[count].append(await timed(asyncio.gather(*(client.post(body) for body in bodies))))
    found = {count: Spread.from_values(values) for count, values in seconds.items()}
    return Result(
        "report",
        "Reports on DICOM files at once",
        {
            "seconds": {count: vars(spread) for count, spread in found.items()},
            "reports_per_second": {count: round(count / spread.median, 3) for count, spread in found.items()},
        },
        note=f"Files of 1024 x 1024 pixels in 16 bits; reports of {_TOKENS} tokens.",
    )


async def mixed(suite: Suite) -> Result:
    """Three reports to a drawing."""
    latencies: dict[str, list[float]] = {"report": [], "drawing": []}
    rates: list[float] = []
    async with Client(suite.service().url) as client:
        for number in range(max(1, suite.rounds // 2)):
            images = reports(_MIXED_REQUESTS, 20_000_000 + 1000 * number)
            drawn = drawings(_MIXED_REQUESTS, 20_000_000 + 1000 * number)

            async def one(index: int, images: list[Body] = images, drawn: list[Body] = drawn) -> float:
                kind, body = ("drawing", drawn[index]) if index % 4 == 3 else ("report", images[index])
                seconds = await timed(client.post(body))
                latencies[kind].append(seconds)
                return seconds

            total, _ = await closed_loop(one, _MIXED_CLIENTS, _MIXED_REQUESTS)
            rates.append(_MIXED_REQUESTS / total)
    return Result(
        "mixed",
        "Three reports to a drawing",
        {
            "clients": _MIXED_CLIENTS,
            "requests_per_second": vars(Spread.from_values(rates)),
            **{
                f"{kind}_seconds": {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95)}
                for kind, values in latencies.items()
            },
        },
    )


async def second_question(suite: Suite) -> Result:
    """A first question on an image and a second one, by the image's size."""
    seconds: dict[str, dict[int, list[float]]] = {"first": {}, "second": {}}
    async with Client(suite.service().url) as client:

        async def ask(image: bytes, question: str) -> float:
            body = Body.from_image("/v1/answers", image, question=question, max_tokens=_ANSWER_TOKENS)
            return await timed(client.post(body))

        await ask(radiographs(1, 31_000_000)[0], "Is there pneumonia?")
        for side, pairs in _ASKED_ABOUT.items():
            for image in radiographs(pairs * suite.rounds, 30_000_000 + side, side):
                seconds["first"].setdefault(side, []).append(await ask(image, "Is there pneumonia?"))
                seconds["second"].setdefault(side, []).append(await ask(image, "Is the heart enlarged?"))
    return Result(
        "second_question",
        "A second question on an image",
        {
            f"{question}_seconds": {side: vars(Spread.from_values(values)) for side, values in found.items()}
            for question, found in seconds.items()
        },
        tuple(
            Ratio(
                f"latency of the second question / the first, {side} x {side}",
                by_round(seconds["second"][side], seconds["first"][side]),
                0.8,
                0.5,
                at_most=True,
            )
            for side in _ASKED_ABOUT
        ),
        f"Answers of {_ANSWER_TOKENS} tokens. The prompt format puts the question before the image: the two share its "
        "decoding and encoding, and of the prompt only the opening.",
    )
