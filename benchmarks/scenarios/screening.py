"""What looking at an image costs a report: the same service with the screen and, as an administrator may, without."""

import shutil
from pathlib import Path

from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Spread, by_round, timed
from benchmarks.scenarios.reports import radiographs
from benchmarks.suite import Suite
from models.bundle import SCREEN_FOLDER
from models.bundle.screen import add_screen
from models.bundles import DEMO_BUNDLE

_TOKENS = "32"
_PAIRS = 12


async def screening(suite: Suite) -> Result:
    """Seconds of reports alone, in pairs: the first of a pair is looked at in every other one.

    A bundle without a screen gets the embedded one's.
    """
    bundle = suite.path
    if suite.bundle.screen is None:
        bundle = Path(shutil.copytree(suite.path, suite.folder / "screened"))
        add_screen(bundle, DEMO_BUNDLE / SCREEN_FOLDER)
    with suite.new_service("screening", bundle=bundle) as service:
        return await _measured(suite, service.url)


async def _measured(suite: Suite, url: str) -> Result:
    seconds: dict[str, list[float]] = {"on": [], "off": []}
    async with Client(url) as client:

        async def read(image: bytes, screen: str) -> float:
            return await timed(client.post(Body.from_image("/v1/reports", image, max_tokens=_TOKENS, screen=screen)))

        await read(radiographs(1, 41_000_000)[0], "on")
        images = radiographs(2 * _PAIRS * suite.rounds, 40_000_000)
        for number in range(_PAIRS * suite.rounds):
            order = ("on", "off") if number % 2 else ("off", "on")
            for screen, image in zip(order, images[2 * number : 2 * number + 2], strict=True):
                seconds[screen].append(await read(image, screen))
    return Result(
        "screening",
        "A report with and without a look at its image",
        {f"{screen}_seconds": vars(Spread.from_values(values)) for screen, values in seconds.items()},
        (
            Ratio(
                "latency of a report alone: with the screen / without",
                by_round(seconds["on"], seconds["off"]),
                1.08,
                1.03,
                at_most=True,
            ),
        ),
        f"DICOM files of 1024 x 1024 pixels, reports of {_TOKENS} tokens.",
    )
