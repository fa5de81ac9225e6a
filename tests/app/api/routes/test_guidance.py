"""Guided drawings over HTTP, on fakes: who is guided by what, what it costs, what is refused."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from app.engine import Guidance
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import EngineSettings, Settings
from models.bundle import DrawDecoding
from tests.support.drawings import picture, pixels
from tests.support.service import Service, bundle_in_memory, encoded, gradient, running

URL = "/v1/images/generations"
EDITS = "/v1/images/edits"
CHAT = "/v1/chat/completions"
WORDS = "Normal."


def talk(**members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": WORDS}], "modalities": ["image"], **members}


def before_image(service: Service) -> Guidance:
    return Guidance(tuple(service.bundle.prompts.before_image()), 2.5)


async def test_a_drawing_is_guided_where_the_request_says_so(service: Service) -> None:
    plain = (await service.client.post(URL, json={"prompt": WORDS, "seed": 3})).json()
    guided = (await service.client.post(URL, json={"prompt": WORDS, "seed": 3, "guidance_scale": 2.5})).json()
    first, second = service.engine.generations
    assert (first.guidance, second.guidance) == (None, before_image(service))
    assert first.prompt == second.prompt
    with picture(guided) as image, picture(plain) as other:
        assert "guidance 2.5" in image.info["Description"]
        assert "guidance" not in other.info["Description"]
    assert guided["data"][0]["seed"] == 3


@pytest.mark.parametrize("scale", [1, 1.0, None])
async def test_a_scale_of_one_is_a_drawing_without_guidance(service: Service, scale: float | None) -> None:
    plain, same = [
        (await service.client.post(URL, json={"prompt": WORDS, "seed": 3, **extra})).json()
        for extra in ({}, {"guidance_scale": scale})
    ]
    first, second = service.engine.generations
    assert (second.guidance, second.prompt, second.sampling) == (None, first.prompt, first.sampling)
    assert (pixels(plain), plain["usage"]) == (pixels(same), same["usage"])


async def test_usage_counts_both_rows(service: Service) -> None:
    body = {"prompt": WORDS, "n": 2}
    plain, guided = [
        (await service.client.post(URL, json=body | extra)).json()["usage"] for extra in ({}, {"guidance_scale": 3})
    ]
    # What opens the image is not counted of either prompt.
    without = len(service.bundle.prompts.before_image()) - 1
    assert guided["output_tokens"] == 2 * plain["output_tokens"] == 4 * 256
    assert guided["input_tokens"] == plain["input_tokens"] + without


async def test_edits_keep_the_codes_in_both_rows_and_count_them(service: Service) -> None:
    form = {"prompt": WORDS, "keep_rows": "4", "guidance_scale": "2.5"}
    usage = (await service.client.post(EDITS, data=form, files={"image": encoded(gradient())})).json()["usage"]
    generation = service.engine.generations[-1]
    assert generation.guidance is not None
    assert len(generation.guidance.prompt) == len(service.bundle.prompts.before_image()) + 64
    assert generation.guidance.prompt[-64:] == generation.prompt[-64:]
    assert usage["input_tokens_details"]["image_tokens"] == 2 * 64
    assert usage["output_tokens"] == 2 * 192


async def test_a_streamed_drawing_is_guided_and_says_what_it_took(service: Service) -> None:
    body = {"prompt": WORDS, "guidance_scale": 2.5, "stream": True, "partial_images": 2}
    text = (await service.client.post(URL, json=body)).text
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1]["usage"]["output_tokens"] == 512
    assert service.engine.generations[-1].guidance == before_image(service)
    assert len(events) == 3
    for told in events:
        with picture({"data": [told]}) as image:
            assert "guidance 2.5" in image.info["Description"]


@pytest.mark.parametrize("draws", [True, False])
async def test_a_streamed_chat_tells_its_seed_at_its_end(service: Service, draws: bool) -> None:
    url = f"data:image/png;base64,{base64.b64encode(encoded(gradient())).decode()}"
    shown = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
    text = (await service.client.post(CHAT, json={**(talk() if draws else shown), "stream": True})).text
    *_, last = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert last["seed"] == service.engine.generations[-1].sampling.seed


async def test_a_drawing_in_a_chat_is_guided_and_words_are_not(service: Service) -> None:
    drawn = (await service.client.post(CHAT, json=talk(guidance_scale=2.5))).json()
    assert service.engine.generations[-1].guidance == before_image(service)
    assert drawn["usage"]["completion_tokens"] == 512
    url = f"data:image/png;base64,{drawn['choices'][0]['message']['images'][0]['image_url']['url'].split(',')[1]}"
    asked = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Pneumonia?"}]
    body = {"messages": [{"role": "user", "content": asked}], "guidance_scale": 2.5}
    assert (await service.client.post(CHAT, json=body)).status_code == 200
    assert service.engine.generations[-1].guidance is None


@pytest.mark.parametrize("scale", [0, 0.99, 10.01, -1, "much", [2]])
async def test_a_scale_out_of_bounds_is_refused_like_any_other_field(service: Service, scale: object) -> None:
    drawn = await service.client.post(URL, json={"prompt": WORDS, "guidance_scale": scale})
    spoken = await service.client.post(CHAT, json=talk(guidance_scale=scale))
    for response in (drawn, spoken):
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")
        assert "guidance_scale" in response.json()["error"]["message"]
    assert not service.engine.generations


@pytest.mark.parametrize("kind", ["before_image", "empty"])
async def test_the_bundle_declares_the_scale_and_what_it_moves_away_from(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bundle = bundle_in_memory()
    draw = DrawDecoding(guidance=2.5, unconditional=kind)
    decoding = bundle.manifest.decoding.model_copy(update={"draw": draw})
    declared = bundle.manifest.model_copy(update={"decoding": decoding})
    monkeypatch.setattr("tests.support.service.Manifest", lambda **_: declared)
    async with running(settings) as service:
        for extra in ({}, {"guidance_scale": 4}, {"guidance_scale": 1}):
            assert (await service.client.post(URL, json={"prompt": WORDS, **extra})).status_code == 200
        prompts = service.bundle.prompts
        empty = [*prompts.draw(""), *prompts.image_opening()]
        prompt = tuple(prompts.before_image() if kind == "before_image" else empty)
        found = [generation.guidance for generation in service.engine.generations]
        assert found == [Guidance(prompt, 2.5), Guidance(prompt, 4.0), None]


@pytest.mark.parametrize(("url", "body"), [(URL, {"prompt": WORDS}), (CHAT, talk())])
async def test_reference_decoding_refuses_guidance_in_words(tmp_path: Path, url: str, body: dict[str, Any]) -> None:
    engine = EngineSettings(decoding="reference", reference_attempts=2)
    async with running(Settings(state_dir=tmp_path, engine=engine)) as service:
        for stream in (False, True):
            response = await service.client.post(url, json=body | {"guidance_scale": 2, "stream": stream})
            assert (response.status_code, response.json()["error"]["code"]) == (400, "guidance_not_offered")
            assert "reference decoding" in response.json()["error"]["message"]
        assert not service.engine.generations
        assert (await service.client.post(url, json=body | {"guidance_scale": 1, "seed": 1})).status_code == 200


async def test_a_quota_that_holds_one_row_does_not_hold_two(settings: Settings) -> None:
    prompts = bundle_in_memory().prompts
    guided = len(prompts.draw(WORDS)) + len(prompts.before_image()) - 1 + 2 * 256
    keys = Keys(settings.keys_file)
    enough, short = (keys.create(str(limit), (Scope.INFER,), tokens_per_day=limit) for limit in (guided, guided - 1))
    async with running(settings) as service:
        for token, scale, status in ((short, 2, 429), (short, 1, 200), (enough, 2, 200)):
            headers = {"Authorization": f"Bearer {token}"}
            body = {"prompt": WORDS, "guidance_scale": scale}
            assert (await service.client.post(URL, json=body, headers=headers)).status_code == status
