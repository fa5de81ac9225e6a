"""A map of evidence beside a report on the same image: what 37 interventions cost."""

import base64
import json

from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Run, Spread, by_round, in_turn, timed
from benchmarks.suite import Suite

# Of about 37 prompts of 300 tokens each, nearly half of which the prefix cache has.
_MOST_REPORTS = 30.0


async def evidence(suite: Suite) -> Result:
    """Seconds of a map and of a report in turn, each time on another image, which the service has encoded."""
    async with Client(suite.service().url) as client:

        async def image_of(number: int) -> bytes:
            # A drawing: the interventions of an image that had a map before are in the prefix cache.
            body = Body.from_json("/v1/images/generations", {"prompt": "Viral pneumonia.", "seed": number})
            image = base64.b64decode(json.loads(await client.post(body))["data"][0]["b64_json"])
            await client.post(Body.from_image("/v1/reports", image, screen="off"))
            return image

        async def map_of(number: int) -> float:
            image = await image_of(number)
            body = Body.from_image("/v1/evidence", image, statement="Focal consolidation.", screen="off")
            return await timed(client.post(body))

        async def report(number: int) -> float:
            image = await image_of(number)
            body = Body.from_image("/v1/reports", image, seed=str(number), screen="off")
            return await timed(client.post(body))

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
