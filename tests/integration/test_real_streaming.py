"""Looks at unfinished drawings, on the real engine: each is closer to the finished one than the look before."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import structural_similarity_index_measure

pytestmark = pytest.mark.engine

KINDS = ("Normal chest radiograph.", "Bacterial pneumonia.", "Viral pneumonia.", "Clear lungs.")
VIEWS = ("AP chest radiograph of a child.", "PA chest radiograph of an adult.", "Chest radiograph.", "AP view.", "")
PROMPTS = [f"{view} {kind}".strip() for view in VIEWS for kind in KINDS]


@pytest.fixture
def client(real: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=real.url, timeout=120) as made:
        yield made


def drawn(client: httpx.Client, prompt: str, seed: int) -> list[dict[str, Any]]:
    """Events of one drawing."""
    body = {"prompt": prompt, "seed": seed, "stream": True, "partial_images": 3}
    found = []
    with client.stream("POST", "/v1/images/generations", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
    return found


def grey(event: dict[str, Any]) -> torch.Tensor:
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(event["b64_json"]))))
    return torch.from_numpy(pixels.copy()).float()[None, None] / 255.0


@pytest.mark.slow
def test_each_of_three_looks_is_closer_to_the_finished_drawing(client: httpx.Client) -> None:
    likenesses = []
    for seed, prompt in enumerate(PROMPTS):
        *partials, final = drawn(client, prompt, seed)
        assert [event["partial_image_index"] for event in partials] == [0, 1, 2]
        found = [
            float(structural_similarity_index_measure(grey(event), grey(final), data_range=1.0)) for event in partials
        ]
        likenesses.append(found)
    print("SSIM by look:", np.mean(likenesses, axis=0).round(3))
    assert all(first < second < third < 1.0 for first, second, third in likenesses), likenesses


def test_a_redrawn_radiograph_keeps_its_upper_part(client: httpx.Client) -> None:
    first = client.post("/v1/images/generations", json={"prompt": PROMPTS[0], "seed": 1}).json()
    image = base64.b64decode(first["data"][0]["b64_json"])
    codes = client.post("/v1/images/tokens", files={"image": image}).json()["tokens"]
    data = {"prompt": PROMPTS[1], "keep_rows": "8", "seed": "2"}
    again = client.post("/v1/images/edits", files={"image": image}, data=data).json()
    assert again["usage"]["output_tokens"] == 128
    same = client.post("/v1/images/pixels", json={"tokens": codes}).content
    before = np.asarray(Image.open(io.BytesIO(same))).astype(float)
    after = np.asarray(Image.open(io.BytesIO(base64.b64decode(again["data"][0]["b64_json"])))).astype(float)
    # Codes are kept exactly; the decoder's view is wider than a code, so pixels near the border move.
    assert np.abs(after - before)[:96].mean() < np.abs(after - before)[160:].mean()


def test_a_report_streams_the_words_of_the_unstreamed_one(client: httpx.Client) -> None:
    from app.dicom.sample import sample_dicom

    files = {"image": sample_dicom()}
    whole = client.post("/v1/reports", files=files, data={"temperature": "0"}).json()["report"]["text"]
    words = ""
    with client.stream(
        "POST", "/v1/reports", files=files, data={"temperature": "0"}, headers={"Accept": "text/event-stream"}
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                words += event.get("delta", "")
    assert words == whole == event["report"]["text"]
