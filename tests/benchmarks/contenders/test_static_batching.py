"""The static-batching server: its hooks as LitServe calls them, and, marked, the server itself."""

import asyncio
import base64
import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.contenders.process import contender_command
from benchmarks.contenders.served import ServedContender
from models.bundle import Bundle

pytest.importorskip("litserve")


def pixels(answer: dict[str, str]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["png"]))))


def test_a_batch_is_generated_decoded_and_answered_one_by_one(tiny: Bundle, prompts: list[list[int]]) -> None:
    from benchmarks.contenders.static_batching import StaticBatches

    api = StaticBatches(tiny.path, 1)
    assert (api.max_batch_size, api.batch_timeout) == (8, 0.05)
    api.setup("cpu")
    inputs = [api.decode_request({"prompt": prompt, "seed": seed}) for seed, prompt in enumerate(prompts)]
    answers = [api.encode_response(one) for one in api.unbatch(api.predict(api.batch(inputs)))]
    assert [len(answer["codes"]) for answer in answers] == [256, 256]
    assert answers[0]["codes"] != answers[1]["codes"]
    assert all(pixels(answer).shape == (256, 256) for answer in answers)


@pytest.mark.engine
async def test_the_server_batches_what_arrives_together(tiny: Bundle, prompts: list[list[int]], log: Path) -> None:
    command = contender_command("static-batching", tiny.path, "cpu", 1, "--temperature", "0")
    with ServedContender(command, log, start_timeout=120) as contender:
        async with httpx.AsyncClient(base_url=contender.url, timeout=60, trust_env=False) as client:
            bodies = [{"prompt": prompt, "seed": 0} for prompt in prompts]
            answers = await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))
            alone = await client.post("/predict", json=bodies[1])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [len(answer.json()["codes"]) for answer in answers] == [256, 256]
    assert alone.json()["codes"][:8] == answers[1].json()["codes"][:8]
    assert pixels(alone.json()).shape == (256, 256)
