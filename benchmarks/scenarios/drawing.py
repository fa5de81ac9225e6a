"""Drawings at 1, 8 and 32 at once: the service beside the raw pipeline, vLLM as it comes, static batching and the
reference loop.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from app.engine.environment import preloads
from benchmarks.clients.http import Body, Client
from benchmarks.contenders.process import contender_command
from benchmarks.contenders.protocol import Contender, Work
from benchmarks.contenders.served import ServedContender
from benchmarks.measure import Ratio, Result, Run, Spread, by_round, in_turn, timed
from benchmarks.suite import Suite
from models.bundle import Bundle

CONCURRENCY = (1, 8, 32)
_MOST = CONCURRENCY[-1]
_STATIC = 8  # one of its batches, which takes the same time however many requests wait
_PROMPT = "AP chest radiograph of a child. Viral pneumonia."


def drawings(count: int, first_seed: int) -> list[Body]:
    """Requests for different drawings."""
    path = "/v1/images/generations"
    return [Body.from_json(path, {"prompt": f"{_PROMPT} {seed}", "seed": seed}) for seed in _seeds(count, first_seed)]


def _seeds(count: int, first: int) -> range:
    return range(first, first + count)


def work_of(bundle: Bundle, count: int, first_seed: int) -> Work:
    """The same drawings as work for a contender."""
    prompts, decoding = bundle.prompts, bundle.manifest.decoding.draw
    seeds = list(_seeds(count, first_seed))
    texts = [[*prompts.draw(f"{_PROMPT} {seed}"), *prompts.image_opening()] for seed in seeds]
    return Work(texts, seeds, temperature=decoding.temperature, top_p=decoding.top_p)


async def drawing(suite: Suite) -> Result:
    """Seconds for 1, 8 and 32 concurrent drawings, by contender; each round draws other ones."""
    # What the service's engine is given.
    libraries = {"LD_PRELOAD": ":".join(str(path) for path in preloads())} if suite.device == "cpu" else {}
    with ExitStack() as stack:
        raw = Contender(_command(suite, "raw"), suite.folder / "raw.log")
        plain = Contender(_command(suite, "raw", "--plain"), suite.folder / "vllm.log", environment=libraries)
        reference = Contender(_command(suite, "reference"), suite.folder / "reference.log", environment=libraries)
        static = ServedContender(_command(suite, "static-batching"), suite.folder / "static.log", environment=libraries)
        _start(
            [suite.service, partial(stack.enter_context, raw), partial(stack.enter_context, plain)],
            [partial(stack.enter_context, reference), partial(stack.enter_context, static)],
            # An engine measures the GPU's free memory as it starts: no other process may allocate any meanwhile.
            together=suite.device == "cpu",
        )
        async with Client(suite.service().url) as client, Client(static.url) as static_client:

            async def of_service(count: int, number: int) -> float:
                bodies = drawings(count, 1000 * number)
                return await timed(asyncio.gather(*(client.post(body) for body in bodies)))

            async def of_contender(contender: Contender, count: int, number: int) -> float:
                done = await asyncio.to_thread(contender.work, work_of(suite.bundle, count, 1000 * number))
                return done.seconds

            async def of_static(count: int, number: int) -> float:
                work = work_of(suite.bundle, count, 1000 * number)
                bodies = [
                    Body.from_json("/predict", {"prompt": prompt, "seed": seed})
                    for prompt, seed in zip(work.prompts, work.seeds, strict=True)
                ]
                return await timed(asyncio.gather(*(static_client.post(body) for body in bodies)))

            await of_service(2, 999)
            for contender in (raw, plain):
                await of_contender(contender, 2, 999)
            await of_static(1, 999)
            seconds: dict[str, dict[int, list[float]]] = {}
            for count in CONCURRENCY:
                contenders: dict[str, Run] = {
                    "service": partial(of_service, count),
                    "raw pipeline": partial(of_contender, raw, count),
                    "vLLM as it comes": partial(of_contender, plain, count),
                }
                if count == _MOST:
                    contenders["static batching"] = partial(of_static, _STATIC)
                    # One at a time whatever the concurrency, so one tells the time of all.
                    contenders["reference loop"] = partial(of_contender, reference, 1)
                # No ratio is asked for between one and the most.
                rounds = suite.rounds if count in (1, _MOST) else max(1, suite.rounds - 1)
                for name, values in (await in_turn(contenders, rounds)).items():
                    seconds.setdefault(name, {})[count] = values
    loop = [value * _MOST for value in seconds["reference loop"][_MOST]]
    static_batches = [value * _MOST / _STATIC for value in seconds["static batching"][_MOST]]
    service_most = seconds["service"][_MOST]
    drawn = {"reference loop": 1, "static batching": _STATIC}
    return Result(
        "drawing",
        "Drawings at once",
        {
            "seconds": {
                name: {count: vars(Spread.from_values(values)) for count, values in found.items()}
                for name, found in seconds.items()
            },
            "drawings_per_second": {
                name: {
                    count: round(drawn.get(name, count) / Spread.from_values(values).median, 4)
                    for count, values in found.items()
                }
                for name, found in seconds.items()
            },
        },
        (
            Ratio(
                f"drawings/s at {_MOST}: service / raw",
                by_round(seconds["raw pipeline"][_MOST], service_most),
                0.90,
                0.97,
            ),
            Ratio(
                f"drawings/s at {_MOST}: service / vLLM as it comes",
                by_round(seconds["vLLM as it comes"][_MOST], service_most),
                1.35,
                1.6,
            ),
            Ratio(f"drawings/s at {_MOST}: service / reference loop", by_round(loop, service_most), 14.0, 18.0),
            Ratio(
                f"drawings/s at {_MOST}: service / static batching",
                by_round(static_batches, service_most),
                2.0,
                4.0,
            ),
            Ratio(
                "one drawing alone: latency of service / raw",
                by_round(seconds["service"][1], seconds["raw pipeline"][1]),
                1.10,
                1.03,
                at_most=True,
            ),
            Ratio(
                "one drawing alone: latency of service / vLLM as it comes",
                by_round(seconds["service"][1], seconds["vLLM as it comes"][1]),
                0.80,
                0.60,
                at_most=True,
            ),
        ),
        "The reference loop draws one image after the other, masked, so that none is lost; one tells the time of all. "
        f"Static batching draws {_STATIC}. The raw pipeline is the service's engine without the service; vLLM "
        "as it comes has its own class of the model, its own sampler, and the mask as `allowed_token_ids`.",
    )


def _start(*rows: Sequence[Callable[[], object]], together: bool) -> None:
    """Start what stands in a row one after the other, the rows at the same time if `together`."""

    def one_by_one(row: Sequence[Callable[[], object]]) -> None:
        for start in row:
            start()

    with ThreadPoolExecutor(len(rows) if together else 1) as starting:
        list(starting.map(one_by_one, rows))


def _command(suite: Suite, name: str, *more: str) -> list[str]:
    decoding = suite.bundle.manifest.decoding.draw
    flags = {
        "raw": ("--cache", str(suite.cache), "--gpu-memory-utilization", str(suite.engine_share)),
        "static-batching": ("--temperature", str(decoding.temperature), "--top-p", str(decoding.top_p)),
    }
    return contender_command(name, suite.path, suite.device, os.cpu_count() or 1, *flags.get(name, ()), *more)
