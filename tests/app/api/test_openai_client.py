"""OpenAI's own client against the running service: sync and async, streamed and not, left in the middle."""

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from app.dicom.sample import sample_dicom
from models.bundle import read_manifest
from models.bundles import DEMO_BUNDLE
from tests.support.process import ServiceProcess
from tests.support.service import encoded, gradient

IMAGE = encoded(gradient())
REPORT = "The lungs are clear."
MODEL = read_manifest(DEMO_BUNDLE).label


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("openai"), step_seconds=0.02) as started:
        yield started


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


@pytest.fixture
async def patient_client(service: ServiceProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def about(text: str, url: str) -> list[Any]:
    parts = [{"type": "text", "text": text}] if text else []
    return [{"role": "user", "content": [*parts, {"type": "image_url", "image_url": {"url": url}}]}]


def pixels(base64_png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(base64_png))))


def running(service: ServiceProcess) -> float:
    text = httpx.get(f"{service.url}/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("cxr_drawings_in_flight "))


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id).id == model.id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


@pytest.mark.parametrize("partials", [0, 1, 2, 3])
def test_a_streamed_drawing_is_seen_on_the_way_and_equals_the_unstreamed_one(
    client: openai.OpenAI, partials: int
) -> None:
    arguments: Any = {"prompt": "x", "extra_body": {"seed": 4}}
    events = list(client.images.generate(**arguments, stream=True, partial_images=partials))
    assert [event.type for event in events] == [
        *["image_generation.partial_image"] * partials,
        "image_generation.completed",
    ]
    assert [event.partial_image_index for event in events[:-1]] == list(range(partials))
    whole = client.images.generate(**arguments).data[0].b64_json
    assert np.array_equal(pixels(events[-1].b64_json), pixels(whole))
    assert events[-1].usage.output_tokens == 256
    final = pixels(whole).astype(float)
    differences = [np.abs(pixels(event.b64_json).astype(float) - final).mean() for event in events[:-1]]
    assert differences == sorted(differences, reverse=True)


async def test_several_streamed_drawings_say_which_they_are(patient_client: openai.AsyncOpenAI) -> None:
    stream = await patient_client.images.generate(
        prompt="x", n=3, stream=True, partial_images=1, extra_body={"seed": 1}
    )
    events = [event async for event in stream]
    done = [event for event in events if event.type == "image_generation.completed"]
    assert sorted(event.image_index for event in done) == [0, 1, 2]
    assert sorted(event.seed for event in done) == [1, 2, 3]


async def test_leaving_a_stream_ends_the_drawing(service: ServiceProcess, patient_client: openai.AsyncOpenAI) -> None:
    stream = await patient_client.images.generate(prompt="x", n=4, stream=True, partial_images=3)
    async for _ in stream:
        break
    assert running(service) == 4
    await stream.close()
    until = time.monotonic() + 3
    while running(service) and time.monotonic() < until:
        await asyncio.sleep(0.05)
    assert running(service) == 0


@pytest.mark.parametrize("keep", [0, 8, 15])
def test_an_edit_keeps_the_first_rows(client: openai.OpenAI, keep: int) -> None:
    edited = client.images.edit(image=("a.png", IMAGE), prompt="x", extra_body={"keep_rows": keep, "seed": 3})
    codes = httpx.post(f"{client.base_url}images/tokens", files={"image": IMAGE}).json()["tokens"]
    drawn = pixels(edited.data[0].b64_json)
    same = httpx.post(f"{client.base_url}images/pixels", json={"tokens": codes}).content
    before = np.asarray(Image.open(io.BytesIO(same)))
    assert np.array_equal(drawn[: keep * 16], before[: keep * 16])
    assert not np.array_equal(drawn[keep * 16 :], before[keep * 16 :])
    assert edited.usage.output_tokens == 256 - 16 * keep
    with pytest.raises(openai.BadRequestError, match="keep_rows"):
        client.images.edit(image=("a.png", IMAGE), prompt="x", extra_body={"keep_rows": 16})


@pytest.mark.parametrize(("image", "media_type"), [(IMAGE, "image/png"), (sample_dicom(), "application/dicom")])
def test_a_chat_reads_an_image(client: openai.OpenAI, image: bytes, media_type: str) -> None:
    for text in ("", "Is there pneumonia?"):
        done = client.chat.completions.create(model=MODEL, messages=about(text, uri(image, media_type)))
        assert done.choices[0].message.content == REPORT
        assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
        assert done.usage.prompt_tokens > 256


@pytest.mark.parametrize("how", [{"modalities": ["image"]}, {}])
def test_a_chat_draws_where_it_is_asked_to(client: openai.OpenAI, how: dict[str, Any]) -> None:
    messages: Any = [{"role": "system", "content": "x"}, {"role": "user", "content": "Draw a normal chest radiograph."}]
    done = client.chat.completions.create(model=MODEL, messages=messages, seed=3, extra_body=how)
    message = done.choices[0].message
    assert isinstance(message.content, str)
    (part,) = message.images  # type: ignore[attr-defined]
    assert pixels(part["image_url"]["url"].partition(",")[2]).shape == (256, 256)
    # The drawing may be asked about next, by the message as the client has it.
    for earlier in (message, message.model_dump(), message.model_dump(exclude_none=True)):
        again: Any = [*messages, earlier, {"role": "user", "content": "Is it normal?"}]
        done = client.chat.completions.create(model=MODEL, messages=again)
        assert done.choices[0].message.content == REPORT


async def test_a_streamed_chat_says_the_same(patient_client: openai.AsyncOpenAI) -> None:
    stream = await patient_client.chat.completions.create(
        model=MODEL,
        messages=about("Is there pneumonia?", uri(IMAGE)),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == REPORT
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    drawn = await patient_client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "draw a chest"}], stream=True
    )
    deltas = [chunk.choices[0].delta async for chunk in drawn if chunk.choices]
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert all(isinstance(delta.content, str | None) for delta in deltas)
    (images,) = (delta.images for delta in deltas if getattr(delta, "images", None))
    assert images[0]["type"] == "image_url"


async def test_the_clients_own_accumulator_ends_with_a_message_that_may_be_sent_back(
    patient_client: openai.AsyncOpenAI,
) -> None:
    messages: Any = about("Is there pneumonia?", uri(IMAGE))
    async with patient_client.chat.completions.stream(model=MODEL, messages=messages) as stream:
        message = (await stream.get_final_completion()).choices[0].message
    assert (message.role, message.content) == ("assistant", REPORT)
    again = [*messages, message, {"role": "user", "content": "And effusion?"}]
    done = await patient_client.chat.completions.create(model=MODEL, messages=again)
    assert done.choices[0].message.content == REPORT


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        (about("x", "https://example.org/a.png"), openai.BadRequestError),
        (about("x", "data:image/png;base64,!!"), openai.BadRequestError),
        (about("x", uri(b"no image")), openai.APIStatusError),
        ([{"role": "system", "content": "x"}], openai.BadRequestError),
        ([{"role": "user", "content": "x" * 9000}], openai.BadRequestError),
        ([], openai.BadRequestError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_openais_shape(
    client: openai.OpenAI, messages: list[Any], kind: type[openai.APIStatusError], stream: bool
) -> None:
    with pytest.raises(kind) as refused:
        client.chat.completions.create(model=MODEL, messages=messages, stream=stream)
    assert 400 <= refused.value.status_code < 500
    assert refused.value.body["code"]  # type: ignore[index]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4", messages=about("x", uri(IMAGE)))


def test_the_tokens_of_a_chat_are_told_and_added_up_by_the_client_in_a_stream(client: openai.OpenAI) -> None:
    asked: Any = {"model": MODEL, "messages": about("Is it normal?", uri(IMAGE)), "logprobs": True, "top_logprobs": 2}
    (whole,) = client.chat.completions.create(**asked).choices
    with client.chat.completions.stream(**asked) as stream:
        told = [event.content for event in stream if event.type == "logprobs.content.done"]
        (summed,) = stream.get_final_completion().choices
    for logprobs in (whole.logprobs, summed.logprobs):
        assert logprobs is not None
        assert b"".join(bytes(token.bytes) for token in logprobs.content).decode() == REPORT
    assert told == [summed.logprobs.content]
    assert summed.message.content == whole.message.content == REPORT
    with pytest.raises(openai.BadRequestError, match="drawing"):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Draw a radiograph."}], logprobs=True
        )
