"""What answers say of the nearest training image, over HTTP."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.inference.copies import seed_again
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import DrawSettings, Settings
from models.copies.index import CopyIndex
from tests.support.copies import index_of_drawings
from tests.support.service import Service, encoded, gradient, running

URL = "/v1/images/generations"
EDITS = "/v1/images/edits"
CHAT = "/v1/chat/completions"
SEED = 3
TALK = {"messages": [{"role": "user", "content": "Normal."}], "modalities": ["image"]}


@pytest.fixture(scope="module")
def index() -> CopyIndex:
    """An index whose row 0 is what is drawn of the seed."""
    return index_of_drawings(SEED)


@pytest.fixture
async def comparing(tmp_path: Path, index: CopyIndex) -> AsyncIterator[Service]:
    """The service with the index."""
    async with running(Settings(state_dir=tmp_path), copies=index) as started:
        yield started


def events_of(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


async def test_each_drawing_names_its_nearest_training_image(comparing: Service, index: CopyIndex) -> None:
    body = (await comparing.client.post(URL, json={"prompt": "Normal.", "seed": 8, "n": 2})).json()
    for item in body["data"]:
        assert set(item["nearest"]) == {"similarity", "limit", "training_image"}
        assert item["nearest"]["similarity"] < item["nearest"]["limit"] == index.config.limit
    assert body["timings"]["compare"] >= 0


async def test_a_drawing_that_was_drawn_again_says_the_seed_that_draws_it(comparing: Service) -> None:
    body = (await comparing.client.post(URL, json={"prompt": "Normal.", "seed": SEED})).json()
    assert body["data"][0]["seed"] == seed_again(SEED, 0)
    assert body["usage"]["output_tokens"] == 512


async def test_a_refused_drawing_is_422_with_its_code(tmp_path: Path, index: CopyIndex) -> None:
    settings = Settings(state_dir=tmp_path, draw=DrawSettings(copy_redraws=0))
    async with running(settings, copies=index) as service:
        response = await service.client.post(URL, json={"prompt": "Normal.", "seed": SEED})
        assert response.status_code == 422
        error = response.json()["error"]
        assert error["code"] == "resembles_training_image"
        assert "too similar to a film that the model was trained on" in error["message"]
        streamed = await service.client.post(URL, json={"prompt": "Normal.", "seed": SEED, "stream": True})
        assert "resembles_training_image" in streamed.text
        assert "completed" not in streamed.text
        counted = (await service.client.get("/metrics")).text
        assert 'cxr_drawings_compared_total{outcome="refused"}' in counted


async def test_a_completed_event_has_it_and_partial_images_have_not(comparing: Service) -> None:
    body = {"prompt": "Normal.", "seed": 8, "stream": True, "partial_images": 2}
    *partial, last = events_of((await comparing.client.post(URL, json=body)).text)
    assert last["type"] == "image_generation.completed"
    assert last["nearest"]["training_image"] >= 0
    assert not any("nearest" in one for one in partial)


async def test_an_edit_has_it_and_is_given_above_the_limit(tmp_path: Path, index: CopyIndex) -> None:
    async with running(Settings(state_dir=tmp_path, draw=DrawSettings(copy_limit=0.0)), copies=index) as service:
        files = {"image": encoded(gradient())}
        response = await service.client.post(EDITS, data={"prompt": "Normal.", "seed": "5"}, files=files)
        (item,) = response.json()["data"]
        assert item["seed"] == 5
        assert item["nearest"]["similarity"] > item["nearest"]["limit"] == 0.0


async def test_a_chat_that_draws_says_it_whole_and_streamed(comparing: Service) -> None:
    whole = (await comparing.client.post(CHAT, json=TALK | {"seed": 8})).json()
    assert set(whole["nearest"]) == {"similarity", "limit", "training_image"}
    chunks = events_of((await comparing.client.post(CHAT, json=TALK | {"seed": 8, "stream": True})).text)
    assert [chunk["nearest"] for chunk in chunks if "nearest" in chunk] == [whole["nearest"]]


async def test_without_an_index_answers_are_as_before(service: Service) -> None:
    body = (await service.client.post(URL, json={"prompt": "Normal.", "seed": SEED})).json()
    assert "nearest" not in body["data"][0]
    assert "compare" not in body["timings"]
    assert "nearest" not in (await service.client.post(CHAT, json=TALK)).json()


async def test_the_quota_counts_what_was_drawn_and_not_given(tmp_path: Path, index: CopyIndex) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    token = Keys(settings.keys_file).create("a", (Scope.INFER,), tokens_per_day=10_000)
    async with running(settings, copies=index) as service:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"prompt": "Normal.", "seed": SEED}
        answer = (await service.client.post(URL, json=body, headers=headers)).json()
        usage = (await service.client.get("/v1/usage", headers=headers)).json()
        assert usage["tokens_per_day"]["used"] == answer["usage"]["total_tokens"]
