"""The codec's worker beside plain torch."""

import asyncio
import os
import time
from functools import partial

import numpy as np
import torch

from app.codec.worker import VqganCodec
from app.settings import CodecSettings
from benchmarks.measure import Ratio, Result, Run, Spread, by_round, in_turn, timed
from benchmarks.suite import Suite
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey, to_pixels

_BATCHES = (1, 4, 16, 32)
_GOAL_BATCH = 16


async def codec(suite: Suite) -> Result:
    """Images a second of the codec's worker and of a plain torch loop that takes the batch whole, both directions."""
    worker = VqganCodec(suite.bundle, CodecSettings(device=suite.device, max_batch=_BATCHES[-1]))
    await worker.start()
    model = VQGAN.load(suite.bundle.vqgan, torch.device(suite.device))
    size, channels = suite.bundle.manifest.image.size, suite.bundle.manifest.image.channels
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (_BATCHES[-1], size, size), dtype=np.uint8))
    codes = [await worker.encode(image) for image in images]

    async def of_worker(direction: str, count: int, number: int) -> float:
        if direction == "encode":
            return await timed(asyncio.gather(*(worker.encode(image) for image in images[:count])))
        return await timed(asyncio.gather(*(worker.decode(one) for one in codes[:count])))

    @torch.inference_mode()
    def plain(direction: str, count: int) -> float:
        torch.set_num_threads(os.cpu_count() or 1)
        started = time.perf_counter()
        if direction == "encode":
            model.encode(to_pixels(np.stack(images[:count]), channels).to(suite.device)).tolist()
        else:
            to_grey(model.decode(torch.tensor(codes[:count], device=suite.device)))
        return time.perf_counter() - started

    async def of_torch(direction: str, count: int, number: int) -> float:
        return await asyncio.to_thread(plain, direction, count)

    figures: dict[str, dict[str, dict[int, float]]] = {}
    ratios = []
    try:
        for direction in ("encode", "decode"):
            for count in _BATCHES:
                contenders: dict[str, Run] = {
                    "worker": partial(of_worker, direction, count),
                    "plain torch": partial(of_torch, direction, count),
                }
                found = await in_turn(contenders, suite.rounds + 2)
                for name, values in found.items():
                    rates = figures.setdefault(direction, {}).setdefault(name, {})
                    rates[count] = round(count / Spread.from_values(values).median, 2)
                if count == _GOAL_BATCH:
                    spread = by_round(found["plain torch"], found["worker"])
                    ratios.append(
                        Ratio(f"codec {direction} at batch {count}: worker / plain torch", spread, 0.90, 0.98)
                    )
    finally:
        await worker.close()
        torch.cuda.empty_cache()  # The other scenarios' processes need the memory of a GPU.
    note = "Images a second. The worker keeps half the processors free for the engine, the plain loop has them all."
    return Result("codec", "The codec's worker beside plain torch", figures, tuple(ratios), note)
