"""Drawings by URL: signed, without a key, for an hour."""

import base64
import io
import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image

from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.service import Service, running

DRAW = "/v1/images/generations"


@pytest.fixture
async def kept(settings: Settings) -> AsyncIterator[Service]:
    token = Keys(settings.keys_file).create("a", (Scope.INFER,))
    async with running(settings, durable=True) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        yield service


async def drawn(service: Service, **body: object) -> list[str]:
    answer = await service.client.post(DRAW, json={"prompt": "x", "response_format": "url", "seed": 1, **body})
    assert answer.status_code == 200, answer.text
    items = answer.json()["data"]
    assert all("b64_json" not in item for item in items)
    return [item["url"] for item in items]


@pytest.mark.parametrize(
    ("output_format", "media_type"),
    [("png", "image/png"), ("jpeg", "image/jpeg"), ("webp", "image/webp"), ("dicom", "application/dicom")],
)
async def test_a_url_gives_the_drawing_without_a_key(kept: Service, output_format: str, media_type: str) -> None:
    whole = await kept.client.post(DRAW, json={"prompt": "x", "seed": 1, "n": 2, "output_format": output_format})
    urls = await drawn(kept, n=2, output_format=output_format)
    del kept.client.headers["Authorization"]
    for url, item in zip(urls, whole.json()["data"], strict=True):
        assert url.startswith("http://127.0.0.1/v1/images/files/")
        answer = await kept.client.get(url)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        if output_format != "dicom":
            expected = Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))
            assert np.array_equal(Image.open(io.BytesIO(answer.content)), expected)
    assert (await kept.client.post(DRAW, json={"prompt": "x"})).status_code == 401


async def test_an_edit_has_urls_too_and_head_answers(kept: Service) -> None:
    picture = (await kept.client.get((await drawn(kept))[0])).content
    form = {"prompt": "x", "response_format": "url"}
    answer = await kept.client.post("/v1/images/edits", data=form, files={"image": picture})
    url = answer.json()["data"][0]["url"]
    assert (await kept.client.head(url)).status_code == 200


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **query})).geturl()


@pytest.mark.parametrize("part", ["later", "signature", "name", "suffix", "unsigned"])
async def test_a_url_that_was_changed_gives_nothing(kept: Service, part: str) -> None:
    url, other = await drawn(kept, n=2)
    signature = dict(parse_qsl(urlsplit(url).query))["signature"]
    tried = {
        "later": changed(url, expires=str(int(time.time()) + 90_000)),
        "signature": changed(url, signature=signature[:-1] + ("A" if signature[-1] != "A" else "E")),
        "name": urlsplit(other)._replace(query=urlsplit(url).query).geturl(),
        "suffix": url.replace(".png?", ".dicom?"),
        "unsigned": changed(url, signature="é"),
    }[part]
    assert (await kept.client.get(tried)).status_code == 404
    assert (await kept.client.get(url)).status_code == 200


async def test_a_url_expires(kept: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    (url,) = await drawn(kept)
    later = time.time() + 3_601
    monkeypatch.setattr("app.api.http.drawing_urls.time.time", lambda: later)
    answer = await kept.client.get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "url_expired")


async def test_a_url_has_the_path_below_which_a_proxy_offers_the_service(settings: Settings) -> None:
    http = settings.http.model_copy(update={"root_path": "/cxr", "hosts": ("viewer.example",)})
    async with running(settings.model_copy(update={"http": http}), durable=True) as service:
        body = {"prompt": "x", "response_format": "url"}
        headers = {"Host": "viewer.example"}
        url = (await service.client.post(DRAW, json=body, headers=headers)).json()["data"][0]["url"]
        assert url.startswith("http://viewer.example/cxr/v1/images/files/")
        assert (await service.client.get(url, headers=headers)).status_code == 200


async def test_a_stream_has_no_urls(kept: Service) -> None:
    answer = await kept.client.post(DRAW, json={"prompt": "x", "response_format": "url", "stream": True})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "response_format"
