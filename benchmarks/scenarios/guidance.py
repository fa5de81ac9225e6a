"""32 drawings at once with guidance and without: a guided one takes two rows of the engine's batch."""

import asyncio
import json
from functools import partial

from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Run, Spread, by_round, in_turn, timed
from benchmarks.scenarios.drawing import drawings
from benchmarks.suite import Suite

_COUNT = 32
_SCALE = 2.0


def guided(bodies: list[Body]) -> list[Body]:
    """The same requests with guidance."""
    return [Body.from_json(body.path, {**json.loads(body.data), "guidance_scale": _SCALE}) for body in bodies]


async def guidance(suite: Suite) -> Result:
    """Seconds for 32 concurrent drawings, each round other ones, guided and not in turn."""
    async with Client(suite.service().url) as client:

        async def plain(number: int) -> float:
            return await timed(asyncio.gather(*(client.post(body) for body in drawings(_COUNT, 1000 * number))))

        async def both_rows(number: int) -> float:
            bodies = guided(drawings(_COUNT, 1000 * number))
            return await timed(asyncio.gather(*(client.post(body) for body in bodies)))

        await asyncio.gather(*(client.post(body) for body in guided(drawings(2, 999_000))))
        runs: dict[str, Run] = {"plain": partial(plain), "guided": partial(both_rows)}
        seconds = await in_turn(runs, suite.rounds)
    rates = {name: round(_COUNT / Spread.from_values(values).median, 4) for name, values in seconds.items()}
    return Result(
        "guidance",
        "Guided drawings",
        {
            "scale": _SCALE,
            "seconds": {name: vars(Spread.from_values(values)) for name, values in seconds.items()},
            "per_second": rates,
        },
        (
            Ratio(
                f"drawings/s at {_COUNT}: guided / plain",
                by_round(seconds["plain"], seconds["guided"]),
                0.5,
                0.6,
            ),
        ),
        "A guided drawing is two sequences of the engine's batch.",
    )
