"""The best of several candidates over HTTP, on fakes: what is told of it, what it costs, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.engine import Kind
from app.settings import LimitsSettings, Settings
from tests.support.drawings import pixels
from tests.support.service import Service, encoded, gradient, running

URL = "/v1/images/generations"
EDITS = "/v1/images/edits"
CHAT = "/v1/chat/completions"
WORDS = "No evidence of pneumonia."
READ = "IMPRESSION: Normal chest."


def talk(**members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": WORDS}], "modalities": ["image"], **members}


def liking_the_second(service: Service) -> None:
    """The second of the candidates that are read is the likeliest."""
    found = iter([-3.0, -1.0, -2.0, -4.0])
    service.engine.text = READ
    service.engine.log_likelihood = lambda prompt: next(found)


def drawn(service: Service) -> list[int]:
    return [generation.sampling.seed for generation in service.engine.generations if generation.kind is Kind.IMAGE]


def chunks(text: str) -> list[dict[str, Any]]:
    lines = (line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {"))
    return [json.loads(line) for line in lines]


async def test_the_answer_has_the_best_candidate_and_what_was_read_in_it(service: Service) -> None:
    liking_the_second(service)
    best = (await service.client.post(URL, json={"prompt": WORDS, "seed": 3, "best_of": 4})).json()
    assert drawn(service) == [3, 4, 5, 6]
    (item,) = best["data"]
    assert (item["seed"], item["reading"]) == (4, {"text": READ, "agrees": True, "log_likelihood": -1.0})
    assert {"generate", "detokenise", "read_back"} <= set(best["timings"])
    alone = (await service.client.post(URL, json={"prompt": WORDS, "seed": 4})).json()
    assert pixels(alone) == pixels(best)
    assert alone["usage"]["input_tokens_details"]["image_tokens"] == 0
    assert best["usage"]["output_tokens"] > 4 * alone["usage"]["output_tokens"]
    assert best["usage"]["input_tokens_details"]["image_tokens"] == 4 * 2 * 256


async def test_what_cannot_be_compared_is_null(service: Service) -> None:
    (item,) = (await service.client.post(URL, json={"prompt": "A heart.", "best_of": 2})).json()["data"]
    assert item["reading"] == {"text": service.engine.text, "agrees": None, "log_likelihood": -5.0}


@pytest.mark.parametrize("extra", [{}, {"best_of": 1}, {"best_of": None}])
async def test_one_candidate_is_a_drawing_as_without_the_field(service: Service, extra: dict[str, Any]) -> None:
    answer = (await service.client.post(URL, json={"prompt": WORDS, "seed": 3, **extra})).json()
    assert set(answer["data"][0]) == {"b64_json", "seed"}
    assert answer["usage"]["output_tokens"] == 256
    spoken = (await service.client.post(CHAT, json=talk(**extra))).json()
    assert "reading" not in spoken
    assert len(service.engine.generations) == 2


async def test_a_stream_has_one_event_a_drawing_and_says_what_was_read(service: Service) -> None:
    body = {"prompt": WORDS, "seed": 3, "n": 2, "best_of": 2, "stream": True, "partial_images": 3}
    events = chunks((await service.client.post(URL, json=body)).text)
    assert [event["type"] for event in events] == ["image_generation.completed"] * 2
    assert sorted(event["image_index"] for event in events) == [0, 1]
    assert {event["seed"] for event in events} == {3, 5}
    whole = (await service.client.post(URL, json=body | {"stream": False})).json()
    assert [item["reading"] for item in whole["data"]] == [event["reading"] for event in events]
    assert sum(event["usage"]["total_tokens"] for event in events) == whole["usage"]["total_tokens"]


async def test_edits_keep_the_codes_in_every_candidate(service: Service) -> None:
    liking_the_second(service)
    form = {"prompt": WORDS, "keep_rows": "4", "best_of": "2", "seed": "3"}
    answer = (await service.client.post(EDITS, data=form, files={"image": encoded(gradient())})).json()
    assert (answer["data"][0]["seed"], answer["data"][0]["reading"]["agrees"]) == (4, True)
    first, second = [generation for generation in service.engine.generations if generation.kind is Kind.IMAGE]
    assert first.prompt == second.prompt
    assert answer["usage"]["input_tokens_details"]["image_tokens"] == 64 + 2 * 2 * 256


async def test_drawings_by_url_say_what_was_read(settings: Settings) -> None:
    async with running(settings, durable=True) as service:
        body = {"prompt": WORDS, "best_of": 2, "response_format": "url"}
        (item,) = (await service.client.post(URL, json=body)).json()["data"]
        assert set(item) == {"url", "seed", "reading"}


async def test_a_drawing_in_a_chat_is_chosen_and_words_are_not(service: Service) -> None:
    liking_the_second(service)
    spoken = (await service.client.post(CHAT, json=talk(best_of=2, seed=3, stop="IMPRESSION"))).json()
    reading = {"text": READ, "agrees": True, "log_likelihood": -1.0}
    assert (spoken["seed"], spoken["reading"]) == (4, reading)
    assert spoken["usage"]["completion_tokens"] > 2 * 256
    liking_the_second(service)
    last = chunks((await service.client.post(CHAT, json=talk(best_of=2, stream=True))).text)[-1]
    assert (last["choices"][0]["finish_reason"], last["reading"]) == ("stop", reading)
    url = spoken["choices"][0]["message"]["images"][0]["image_url"]["url"]
    asked = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Pneumonia?"}]
    before = len(service.engine.generations)
    body = {"messages": [{"role": "user", "content": asked}], "best_of": 8}
    answer = await service.client.post(CHAT, json=body)
    assert answer.status_code == 200
    assert "reading" not in answer.json()
    assert len(service.engine.generations) == before + 1


@pytest.mark.parametrize("best_of", [0, 9, -1, 1.5, "x", [2]])
async def test_a_number_out_of_bounds_is_refused_like_any_other_field(service: Service, best_of: object) -> None:
    for url, body in ((URL, {"prompt": WORDS}), (CHAT, talk())):
        response = await service.client.post(url, json=body | {"best_of": best_of})
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", "best_of")
    form = {"prompt": WORDS, "best_of": str(best_of)}
    response = await service.client.post(EDITS, data=form, files={"image": encoded(gradient())})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "best_of")
    assert not service.engine.generations


@pytest.mark.parametrize(("most", "number", "best_of", "status"), [(10, 2, 5, 200), (10, 2, 6, 400), (3, 1, 4, 400)])
async def test_candidates_count_in_the_limit_of_images(
    tmp_path: Path, most: int, number: int, best_of: int, status: int
) -> None:
    settings = Settings(state_dir=tmp_path, limits=LimitsSettings(max_images=most))
    async with running(settings) as service:
        response = await service.client.post(URL, json={"prompt": WORDS, "n": number, "best_of": best_of})
        assert response.status_code == status
        if status == 400:
            error = response.json()["error"]
            assert (error["code"], error["param"]) == ("best_of", "best_of")
            assert f"more than the limit of {most}" in error["message"]
            assert not service.engine.generations
        spoken = await service.client.post(CHAT, json=talk(best_of=best_of))
        assert spoken.status_code == (400 if best_of > most else 200)
