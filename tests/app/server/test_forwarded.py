"""What proxies say of requests: believed from those that are trusted, and from nobody else."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.server.run import Server
from app.settings import Settings
from tests.support.service import Service


def settings_with(settings: Settings, **http: object) -> Settings:
    return settings.model_copy(update={"port": 0, "http": settings.http.model_copy(update=http)})


async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    service = Service(settings)
    async with Server(service.app, settings).running() as server, httpx.AsyncClient(base_url=server.url) as client:
        await service.app.state.service.lifecycle.settled.wait()
        yield client


@pytest.fixture
async def behind(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(settings_with(settings)):
        yield client


@pytest.fixture
async def untrusting(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(settings_with(settings, trusted_proxies=("10.0.0.0/8",))):
        yield client


@pytest.fixture
async def named(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(settings_with(settings, root_path="/portal")):
        yield client


@pytest.mark.parametrize("path", ["/docs", "/portal/docs"], ids=["taken off", "left on"])
async def test_documentation_and_redirections_have_the_prefix_of_a_trusted_proxy(
    behind: httpx.AsyncClient, path: str
) -> None:
    headers = {"X-Forwarded-Prefix": "/portal"}
    assert "/portal/openapi.json" in (await behind.get(path, headers=headers)).text
    moved = await behind.get(path.replace("docs", "v1/models/"), headers=headers)
    assert moved.headers["Location"] == "/portal/v1/models"
    assert "/portal" not in (await behind.get("/docs")).text


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "portal", "/a/../b?", "/<script>", "/" + "\xe9"])
async def test_what_is_no_path_is_no_prefix(behind: httpx.AsyncClient, prefix: str) -> None:
    response = await behind.get("/docs", headers={"X-Forwarded-Prefix": prefix.encode("latin-1")})
    assert response.status_code == 200
    assert '"/openapi.json"' in response.text or "'/openapi.json'" in response.text


async def test_others_say_nothing(untrusting: httpx.AsyncClient) -> None:
    headers = {"X-Forwarded-Prefix": "/portal", "X-Forwarded-Proto": "https"}
    response = await untrusting.get("/docs", headers=headers)
    assert "/portal" not in response.text
    assert "Strict-Transport-Security" not in response.headers
    assert (await untrusting.get("/portal/docs", headers=headers)).status_code == 404


async def test_the_setting_counts_before_the_header(named: httpx.AsyncClient) -> None:
    response = await named.get("/docs", headers={"X-Forwarded-Prefix": "/other"})
    assert "/portal/openapi.json" in response.text


async def test_the_scheme_of_a_trusted_proxy_counts(behind: httpx.AsyncClient) -> None:
    response = await behind.get("/docs", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" in response.headers
