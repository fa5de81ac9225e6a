"""The three jobs, hostile input, and load, on the real engine and the embedded bundle."""

import asyncio
import base64
import csv
import io
import re
import time
import zipfile
from collections.abc import Iterator

import httpx
import numpy as np
import openai
import pydicom
import pytest
from PIL import Image

from app.dicom.sample import sample_dicom
from tests.support.service import SHARED, encoded

pytestmark = pytest.mark.engine
TIMEOUT = httpx.Timeout(120.0)
NOISE = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)


@pytest.fixture
def client(real) -> Iterator[httpx.Client]:  # type: ignore[no-untyped-def]
    with httpx.Client(base_url=real.url, timeout=TIMEOUT) as opened:
        yield opened


def picture(body: dict) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body["data"][0]["b64_json"]))))


def running_requests(client: httpx.Client) -> float:
    found = re.search(r"^vllm:num_requests_running\{.*\} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found.group(1))


def test_it_is_ready_and_says_what_it_serves(client: httpx.Client) -> None:
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.get("/v1/models").json()["data"][0]["id"].startswith("llm-cxr-demo-")
    metrics = client.get("/metrics").text
    assert "vllm:num_requests_running" in metrics
    assert "cxr_ready 1.0" in metrics


def test_a_dicom_gets_a_report_in_words(client: httpx.Client) -> None:
    response = client.post("/v1/reports", files={"image": sample_dicom()})
    body = response.json()
    assert response.status_code == 200
    assert "radiograph" in body["report"]["text"]
    assert body["image"]["view"] == "AP"
    assert body["usage"]["completion_tokens"] > 5


def test_a_question_is_answered_and_greedy_answers_repeat(client: httpx.Client) -> None:
    data = {"question": ["Is there pneumonia?", "What is the view?"], "temperature": "0"}
    first, second = (
        client.post("/v1/answers", files={"image": sample_dicom()}, data=data).json()["answers"] for _ in range(2)
    )
    assert first[0]["answer"].lower().startswith(("yes", "no"))
    assert [item["answer"] for item in first] == [item["answer"] for item in second]


def test_a_text_becomes_a_radiograph_as_png_and_as_dicom(client: httpx.Client) -> None:
    request = {"prompt": "Normal chest radiograph.", "seed": 4}
    drawn = picture(client.post("/v1/images/generations", json=request).json())
    assert drawn.shape == (256, 256)
    assert drawn.std() > 20
    body = client.post("/v1/images/generations", json={**request, "output_format": "dicom"}).json()
    dataset = pydicom.dcmread(io.BytesIO(base64.b64decode(body["data"][0]["b64_json"])))
    assert dataset.SyntheticData == "YES"
    assert dataset.pixel_array.shape == (256, 256)


def test_tokens_and_back_is_the_same_radiograph(client: httpx.Client) -> None:
    body = client.post("/v1/images/tokens", files={"image": sample_dicom()}).json()
    assert len(body["tokens"]) == 256
    back = client.post("/v1/images/pixels", json={"tokens": body["tokens"]})
    pixels = np.asarray(Image.open(io.BytesIO(back.content)).convert("L")).astype(float)
    again = client.post("/v1/images/tokens", files={"image": back.content}).json()["tokens"]
    assert pixels.std() > 20
    assert np.mean(np.array(again) == np.array(body["tokens"])) > 0.2


def test_text_generations_hold_no_image_and_images_no_text(client: httpx.Client) -> None:
    # At the highest temperature an unmasked model of this size mixes both within a few tokens.
    data = {"temperature": "2", "top_p": "1", "max_tokens": "200"}
    report = client.post("/v1/reports", files={"image": sample_dicom()}, data=data)
    assert report.status_code == 200
    drawn = client.post("/v1/images/generations", json={"prompt": "x", "temperature": 2, "top_p": 1})
    assert drawn.status_code == 200
    assert drawn.json()["usage"]["output_tokens"] == 256


def test_the_same_seed_alone_draws_the_same_image_twice(client: httpx.Client) -> None:
    request = {"prompt": "Viral pneumonia.", "seed": 11}
    first, second = (picture(client.post("/v1/images/generations", json=request).json()) for _ in range(2))
    assert np.array_equal(first, second)


async def test_32_concurrent_drawings_are_valid_and_distinct(real) -> None:  # type: ignore[no-untyped-def]
    async with httpx.AsyncClient(base_url=real.url, timeout=TIMEOUT) as client:
        responses = await asyncio.gather(
            *(client.post("/v1/images/generations", json={"prompt": "Bacterial pneumonia."}) for _ in range(32))
        )
    assert [response.status_code for response in responses] == [200] * 32
    pictures = [picture(response.json()) for response in responses]
    assert all(image.shape == (256, 256) and image.std() > 5 for image in pictures)
    assert len({image.tobytes() for image in pictures}) == 32
    assert len({response.json()["data"][0]["seed"] for response in responses}) == 32


def test_the_official_openai_client_draws_and_lists_models(real) -> None:  # type: ignore[no-untyped-def]
    client = openai.OpenAI(base_url=f"{real.url}/v1", api_key="unused")
    model = client.models.list().data[0].id
    result = client.images.generate(model=model, prompt="Normal chest radiograph.", n=2, response_format="b64_json")
    assert result.data is not None
    assert len({item.b64_json for item in result.data}) == 2
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=model, prompt="x", size="1024x1024")
    assert caught.value.code == "unsupported_size"


async def test_a_client_that_leaves_frees_its_slots(real) -> None:  # type: ignore[no-untyped-def]
    request = {"prompt": "Normal chest radiograph.", "n": 10}
    async with httpx.AsyncClient(base_url=real.url, timeout=TIMEOUT) as client:
        leaving = asyncio.create_task(client.post("/v1/images/generations", json=request))
        with httpx.Client(base_url=real.url, timeout=TIMEOUT) as watcher:
            until = time.monotonic() + 20
            while await asyncio.to_thread(running_requests, watcher) < 10 and time.monotonic() < until:
                await asyncio.sleep(0.02)
            assert await asyncio.to_thread(running_requests, watcher) == 10
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            left = time.monotonic()
            while await asyncio.to_thread(running_requests, watcher) > 0 and time.monotonic() < left + 20:
                await asyncio.sleep(0.02)
            # The gauge moves with the engine's next step; ten drawings to their end take far longer.
            assert time.monotonic() - left < 1.5


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b" * 1000)
    return buffer.getvalue()


def _bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty"),
        (encoded(np.zeros((1, 1), np.uint8)), 422, "too_small"),
        (_bomb(), 422, "too_many_pixels"),
        (encoded(NOISE, "JPEG")[:3000], 400, "damaged_image"),
        (_zip(), 415, "not_an_image"),
    ],
    ids=["empty", "1x1", "bomb", "truncated", "zip"],
)
def test_hostile_images_are_refused_and_the_next_good_one_works(
    client: httpx.Client, data: bytes, status: int, code: str
) -> None:
    response = client.post("/v1/reports", files={"image": ("evil.dcm", data)})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert client.post("/v1/images/tokens", files={"image": sample_dicom()}).status_code == 200


@pytest.mark.parametrize("declared", [True, False])
def test_a_200_mb_upload_is_refused_while_it_streams(client: httpx.Client, declared: bool) -> None:
    sent, head = 0, b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        yield head
        for _ in range(200):
            sent += 1_000_000
            yield b"\0" * 1_000_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    if declared:
        headers["Content-Length"] = str(len(head) + 200_000_000)
    try:
        # What still comes after the answer is read for two seconds and not looked at, so that the answer arrives.
        response = client.post("/v1/reports", content=chunks(), headers=headers)
        assert response.status_code == 413
        assert response.json()["code"] == "too_large"
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        # The two seconds were over while the client was still sending: TCP may lose the answer to a reset.
        assert sent < 200_000_000
    assert client.get("/livez").status_code == 200


@pytest.mark.skipif(not SHARED.exists(), reason="the shared DICOM files are not here")
def test_every_shared_dicom_gets_its_report_or_its_refusal(client: httpx.Client) -> None:
    with (SHARED / "dicom" / "index.csv").open(newline="") as stream:
        files = [row["file"] for row in csv.DictReader(stream)]
    found: dict[str, int] = {}
    for name in files:
        response = client.post(
            "/v1/reports", files={"image": (SHARED / "dicom" / name).read_bytes()}, data={"max_tokens": "8"}
        )
        found[name] = response.status_code
        if response.status_code != 200:
            assert response.json()["code"], name
    assert all(status in (200, 400, 415, 422) for status in found.values()), found
    assert sum(status == 200 for name, status in found.items() if name.startswith("chest/")) == 7
    assert not [name for name, status in found.items() if status == 200 and not name.startswith("chest/")]
    assert client.get("/readyz").json()["status"] == "ready"


def test_a_prompt_too_long_for_the_model_is_400(client: httpx.Client) -> None:
    response = client.post("/v1/images/generations", json={"prompt": "zq " * 2000})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "prompt_too_long"


def test_nothing_is_written_outside_the_state_folder(real, client: httpx.Client) -> None:  # type: ignore[no-untyped-def]
    client.post("/v1/reports", files={"image": sample_dicom()})
    assert [path for path in real.home.rglob("*") if path.is_file()] == []
    assert {path.name for path in real.home.parent.iterdir()} == {"home", "state", "service.log"}


async def test_prompts_that_one_step_cannot_hold_together_leave_the_engine_alive(client: httpx.Client) -> None:
    """A prompt that is read in parts costs vLLM's CPU engine its life where its request has a seed."""
    image = sample_dicom()
    questions = [f"Is there pneumonia {number}?" for number in range(16)]  # some 300 tokens each; a step takes 2,048
    async with httpx.AsyncClient(base_url=client.base_url, timeout=TIMEOUT) as many:
        data = {"question": questions, "temperature": "1", "max_tokens": "4"}
        answers = await asyncio.gather(
            *(many.post("/v1/answers", files={"image": image}, data={**data, "seed": str(seed)}) for seed in range(3))
        )
    assert [answer.status_code for answer in answers] == [200] * 3
    assert client.get("/readyz").json()["status"] == "ready"
