"""A report with samples beside the same report without: what doubt costs."""

from functools import partial

from app.dicom.sample import sample_dicom
from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Run, Spread, by_round, in_turn, timed
from benchmarks.suite import Suite

_SAMPLES = (8, 16)


async def samples(suite: Suite) -> Result:
    """Seconds of a report alone and with 8 and 16 samples in turn, on an image that the service has encoded."""
    image = sample_dicom()
    async with Client(suite.service().url) as client:

        async def one(number: int, asked: int) -> float:
            return await timed(client.post(Body.from_image("/v1/reports", image, seed=str(number), samples=str(asked))))

        runs: dict[str, Run] = {str(asked): partial(one, asked=asked) for asked in (1, *_SAMPLES)}
        for asked in (1, *_SAMPLES):
            await one(1_000, asked)
        seconds = await in_turn(runs, suite.rounds)
    return Result(
        "samples",
        "Samples of a report",
        {"seconds": {name: vars(Spread.from_values(values)) for name, values in seconds.items()}},
        tuple(
            Ratio(
                f"latency with {asked} samples / of one report",
                by_round(seconds[str(asked)], seconds["1"]),
                goal,
                stretch,
                at_most=True,
            )
            for asked, goal, stretch in zip(_SAMPLES, (3.0, 5.0), (1.5, 2.0), strict=True)
        ),
        "The image is encoded before; all reports run at once and share the image's prefix.",
    )
