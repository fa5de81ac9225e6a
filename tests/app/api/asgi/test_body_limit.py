"""Bodies that stall, that never end, or that are compressed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.api.asgi import body_limit
from app.settings import Settings
from tests.support.service import Service, encoded, gradient, running

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}
STOW = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}


async def stalling(first: bytes, pause: float, rest: bytes = b"") -> AsyncIterator[bytes]:
    yield first
    while True:
        await asyncio.sleep(pause)
        if not rest:
            await asyncio.sleep(60)
        yield rest[:1]


@pytest.mark.parametrize(
    ("path", "headers", "first"),
    [
        ("/v1/reports", FORM, b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc'),
        ("/v1/chat/completions", JSON, b'{"messages": ['),
        ("/v1/images/generations", JSON, b'{"prompt": "x'),
        ("/dicom-web/studies", STOW, b"--x\r\nContent-Type: application/dicom\r\n\r\nabc"),
    ],
)
@pytest.mark.parametrize("drips", [False, True])
async def test_a_body_that_stalls_is_408_and_gives_its_place_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str], first: bytes, drips: bool
) -> None:
    monkeypatch.setattr(body_limit, "_SILENT_SECONDS", 0.2)
    monkeypatch.setattr(body_limit, "_LOOK_SECONDS", 0.05)
    limits = settings.limits.model_copy(update={"deadline_seconds": 0.5})
    async with running(settings.model_copy(update={"limits": limits}), durable=True) as service:
        content = stalling(first, 0.05, b"a" if drips else b"")
        response = await service.client.post(path, content=content, headers=headers)
        assert response.status_code == 408
        assert "body_timeout" in response.text
        assert response.headers["Connection"] == "close"
        assert (await service.client.get("/readyz")).json()["under_way"] == 0
        image = {"image": encoded(gradient())}
        assert (await service.client.post("/v1/reports", files=image)).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, br"])
@pytest.mark.parametrize("path", ["/v1/reports", "/v1/chat/completions", "/dicom-web/studies"])
async def test_a_compressed_body_is_415_with_what_is_taken(service: Service, path: str, encoding: str) -> None:
    response = await service.client.post(path, content=b"x", headers={**JSON, "Content-Encoding": encoding})
    assert response.status_code == 415
    assert response.headers["Accept-Encoding"] == "identity"
    plain = await service.client.post(
        "/v1/chat/completions", content=b"{}", headers={**JSON, "Content-Encoding": "identity"}
    )
    assert plain.status_code == 400


@pytest.mark.parametrize(
    ("path", "kind", "megabytes", "status"),
    [
        ("/v1/chat/completions", "application/json", 33, 413),
        ("/v1/chat/completions", "application/json", 31, 415),
        ("/v1/images/generations", "application/json", 2, 413),
        ("/v1/reports", "multipart/form-data", 99, 415),
        ("/v1/reports", "multipart/form-data", 101, 413),
    ],
)
async def test_a_kind_of_body_has_its_own_limit(
    service: Service, path: str, kind: str, megabytes: int, status: int
) -> None:
    size = megabytes * 1_000_000
    if kind == "application/json":
        url = "data:image/png;base64," + "A" * (size - 1_000)
        part = {"type": "image_url", "image_url": {"url": url}}
        response = await service.client.post(path, json={"messages": [{"role": "user", "content": [part]}]})
    else:
        response = await service.client.post(path, files={"image": bytes(size - 1_000)})
    assert response.status_code == status, response.text
