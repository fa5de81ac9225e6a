"""Where a request's time goes: the stages of reports and of drawings, one alone and many at once."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Mapping

from benchmarks.clients.http import Body, Client
from benchmarks.measure import Result
from benchmarks.scenarios.drawing import CONCURRENCY, drawings
from benchmarks.scenarios.reports import reports
from benchmarks.suite import Suite

Make = Callable[[int, int], list[Body]]


async def stages(suite: Suite) -> Result:
    """Mean milliseconds of a request by stage, at each concurrency; no two requests are about the same."""
    kinds: dict[str, Make] = {"report": reports, "drawing": drawings}
    figures: dict[str, dict[str, dict[int, float]]] = {}
    async with Client(suite.service().url) as client:
        for kind, make in kinds.items():
            await client.post(make(1, 90_000_000)[0])
            for count in CONCURRENCY:
                found: list[dict[str, float]] = []
                for number in range(suite.rounds):
                    bodies = make(count, 91_000_000 + 10_000 * number + 100 * count)
                    found += await asyncio.gather(*(_parts_of(client, body) for body in bodies))
                for part in found[0]:
                    mean = statistics.fmean(parts[part] for parts in found)
                    figures.setdefault(f"{kind}_stages_ms", {}).setdefault(part, {})[count] = round(mean, 1)
    return Result(
        "stages",
        "Where a request's time goes",
        figures,
        note="Means. Prompt is the time to the first token less the engine's queue, tokens the time from there to the "
        "last one, around it what the answer's own timings do not hold: the way to the service and back.",
    )


async def _parts_of(client: Client, body: Body) -> dict[str, float]:
    started = time.perf_counter()
    answer = await client.post(body)
    return parts(json.loads(answer)["timings"], 1e3 * (time.perf_counter() - started))


def parts(timings: Mapping[str, float], milliseconds: float) -> dict[str, float]:
    """The stages of an answer's `timings`, some of which hold others, as parts that add up to `milliseconds`."""
    queue, first_token = timings.get("queue", 0.0), timings.get("first_token", 0.0)
    found = {
        "decode": timings.get("decode", 0.0),
        "encode": timings.get("encode", 0.0),
        "queue": queue,
        "prompt": first_token - queue,
        "tokens": timings.get("generate", 0.0) - first_token,
        "detokenise": timings.get("detokenise", 0.0),
        "render": timings.get("render", 0.0),
    }
    return {**found, "around it": milliseconds - sum(found.values())}
