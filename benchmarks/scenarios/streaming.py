"""Drawings that are watched: what streaming costs many, and how early one sees something."""

import asyncio

from benchmarks.clients.http import Body, Client
from benchmarks.measure import Ratio, Result, Spread, by_round, in_turn, timed
from benchmarks.scenarios.drawing import drawings
from benchmarks.scenarios.reports import radiographs
from benchmarks.suite import Suite

_AT_ONCE = 16
_LOOKS = 3


def _streamed(count: int, first_seed: int) -> list[Body]:
    path = "/v1/images/generations"
    fields = {"stream": True, "partial_images": _LOOKS}
    return [
        Body.from_json(path, {"prompt": f"Viral pneumonia {seed}", "seed": seed, **fields})
        for seed in range(first_seed, first_seed + count)
    ]


async def streaming(suite: Suite) -> Result:
    """Throughput of drawings with three looks each and without; the share of a drawing's time until its first look; and
    the time to a report's first words.
    """
    async with Client(suite.service().url) as client:

        async def watched(number: int) -> float:
            bodies = _streamed(_AT_ONCE, 40_000_000 + 1000 * number)
            return await timed(asyncio.gather(*(client.events(body) for body in bodies)))

        async def unwatched(number: int) -> float:
            bodies = drawings(_AT_ONCE, 40_000_000 + 1000 * number)
            return await timed(asyncio.gather(*(client.post(body) for body in bodies)))

        found = await in_turn({"streamed": watched, "not streamed": unwatched}, suite.rounds)
        loop = asyncio.get_running_loop()
        shares = []
        for number in range(suite.rounds):
            started = loop.time()
            events = await client.events(_streamed(1, 50_000_000 + number)[0])
            shares.append((events[0][0] - started) / (events[-1][0] - started))
        words = []
        for image in radiographs(suite.rounds, 51_000_000):
            body = Body.from_image("/v1/reports", image, max_tokens="32")
            started = loop.time()
            events = await client.events(body)
            words.append((events[0][0] - started, events[-1][0] - started))
    return Result(
        "streaming",
        "Streaming",
        {
            "seconds_of_16_drawings": {name: vars(Spread.from_values(values)) for name, values in found.items()},
            "report_first_words_seconds": vars(Spread.from_values([first for first, _ in words])),
            "report_seconds": vars(Spread.from_values([last for _, last in words])),
        },
        (
            Ratio(
                f"drawings/s at {_AT_ONCE}: streamed / not",
                by_round(found["not streamed"], found["streamed"]),
                0.90,
                0.97,
            ),
            Ratio("first look / whole drawing, alone", Spread.from_values(shares), 0.40, 0.30, at_most=True),
        ),
    )
