"""Samples of a report on the real engine: the report stays, the image is encoded once, the prompt computed once."""

import re
from collections.abc import Iterator

import httpx
import pytest

from app.dicom.sample import sample_dicom

pytestmark = pytest.mark.engine
SAMPLES = 8


@pytest.fixture
def client(real) -> Iterator[httpx.Client]:  # type: ignore[no-untyped-def]
    with httpx.Client(base_url=real.url, timeout=httpx.Timeout(120.0)) as opened:
        yield opened


def report(client: httpx.Client, **data: str) -> dict:  # type: ignore[type-arg]
    response = client.post("/v1/reports", files={"image": sample_dicom()}, data=data)
    assert response.status_code == 200
    return response.json()  # type: ignore[no-any-return]


def counted(client: httpx.Client, name: str) -> float:
    found = re.findall(rf"^{name}\{{.*\}} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))


def test_samples_change_nothing_of_the_report_and_share_its_prompt(client: httpx.Client) -> None:
    alone = report(client, temperature="0", seed="7")
    encoded, hits = counted(client, "cxr_codec_batch_images_sum"), counted(client, "vllm:prefix_cache_hits_total")
    # Another instruction: nothing of its prompt is in the cache yet.
    asked = {"temperature": "0", "seed": "7", "samples": str(SAMPLES), "instruction": "Look closely, then report."}
    first = report(client, **asked)
    prompt = first["usage"]["prompt_tokens"] / (SAMPLES + 1)
    shared = counted(client, "vllm:prefix_cache_hits_total") - hits
    assert shared >= SAMPLES * (prompt // 128) * 128  # whole blocks are shared, which have 128 tokens on a CPU
    assert counted(client, "cxr_codec_batch_images_sum") - encoded <= 1
    doubted = report(client, temperature="0", seed="7", samples=str(SAMPLES))
    assert doubted["report"] == alone["report"]
    assert doubted["usage"]["prompt_tokens"] == (SAMPLES + 1) * alone["usage"]["prompt_tokens"]
    shares = {step / SAMPLES for step in range(SAMPLES + 1)}
    assert {sentence["support"] for sentence in doubted["sentences"]} <= shares
    assert 0.0 <= doubted["doubt"] <= 1.0


def test_the_same_seed_alone_gives_the_same_doubt(client: httpx.Client) -> None:
    first, second = (report(client, seed="11", samples=str(SAMPLES)) for _ in range(2))
    assert [first[name] for name in ("report", "seed", "samples")] == [
        second[name] for name in ("report", "seed", "samples")
    ]
    # Batches may move the last bits of a probability, and with them a word of a sample.
    assert abs(first["doubt"] - second["doubt"]) <= 0.25
