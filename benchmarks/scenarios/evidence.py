"""A map of evidence beside a report on the same image: what 37 interventions cost."""

from app.dicom.sample import sample_dicom
from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Run, Spread, by_round, in_turn, timed
from benchmarks.suite import Suite

# Of about 37 prompts of 300 tokens each, nearly half of which the prefix cache has.
_MOST_REPORTS = 30.0


async def evidence(suite: Suite) -> Result:
    """Seconds of a map and of a report in turn, on an image that the service has encoded."""
    image = sample_dicom()
    async with Client(suite.service().url) as client:

        async def map_of(number: int) -> float:
            # Another sentence each time: nothing of it is in the prefix cache but the image.
            statement = f"Focal consolidation is present, {number}."
            return await timed(client.post(Body.from_image("/v1/evidence", image, statement=statement)))

        async def report(number: int) -> float:
            return await timed(client.post(Body.from_image("/v1/reports", image, seed=str(number))))

        runs: dict[str, Run] = {"map": map_of, "report": report}
        for run in runs.values():
            await run(1_000)
        seconds = await in_turn(runs, suite.rounds)
    return Result(
        "evidence",
        "A map of evidence",
        {"seconds": {name: vars(Spread.from_values(values)) for name, values in seconds.items()}},
        (
            Ratio(
                "latency of a map / of a report",
                by_round(seconds["map"], seconds["report"]),
                _MOST_REPORTS,
                10.0,
                at_most=True,
            ),
        ),
        "The image is encoded before; all interventions run at once.",
    )
