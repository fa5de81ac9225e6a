"""Names the service answers to, and pages that may post to it."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.service import Service, encoded, gradient, running

FOREIGN_HOSTS = ["evil.test", "evil.test:8080", "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.7", "[::2]", "0"]
OWN_HOSTS = ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:1", "localhost.", "[::1]", "[::1]:8080"]
BAD_HOSTS = ["", "a b", "127.0.0.1:http", "http://localhost", "localhost/x", "user@localhost", "::1", "localhost:"]


async def status(service: Service, host: str, path: str = "/v1/models") -> int:
    return (await service.client.get(path, headers={"Host": host})).status_code


async def test_where_everybody_is_let_in_only_its_own_names_are_answered(settings: Settings) -> None:
    async with running(settings) as service:
        assert {host: await status(service, host) for host in FOREIGN_HOSTS} == dict.fromkeys(FOREIGN_HOSTS, 421)
        assert {host: await status(service, host) for host in OWN_HOSTS} == dict.fromkeys(OWN_HOSTS, 200)
        assert {host: await status(service, host) for host in BAD_HOSTS} == dict.fromkeys(BAD_HOSTS, 400)
        refused = await service.client.get("/v1/models", headers={"Host": "evil.test"})
        assert refused.json()["error"]["code"] == "unknown_host"
        assert "evil" not in refused.text


async def test_two_hosts_are_none(settings: Settings) -> None:
    async with running(settings) as service:
        request = service.client.build_request("GET", "/version")
        request.headers = httpx.Headers([("Host", "localhost"), ("Host", "evil.test")])
        assert (await service.client.send(request)).status_code == 400


async def test_probes_and_metrics_come_by_the_address_of_a_pod(settings: Settings) -> None:
    async with running(settings) as service:
        for path in ("/livez", "/readyz", "/startupz", "/metrics"):
            assert await status(service, "10.1.2.3:8080", path) == 200
        for path in ("/", "/ui/", "/docs", "/openapi.json", "/version"):
            assert await status(service, "evil.test", path) == 421


async def test_a_service_that_asks_for_keys_has_any_name_unless_it_is_told_its_own(
    settings: Settings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    token = Keys(keys).create("a", (Scope.INFER,))
    chosen: dict[str, Any] = {"auth": {"keys_file": keys}}
    headers = {"Authorization": f"Bearer {token}"}
    for hosts, expected in (((), 200), (("cxr.hospital.test",), 421)):
        changed = Settings.model_validate({**settings.model_dump(), **chosen, "http": {"hosts": hosts}})
        async with running(changed) as service:
            found = {
                name: (await service.client.get("/v1/models", headers={**headers, "Host": name})).status_code
                for name in ("other.test", "cxr.hospital.test", "localhost")
            }
        assert found == {"other.test": expected, "cxr.hospital.test": 200, "localhost": 200}


@pytest.mark.parametrize("hosts", [("http://a",), ("a:80",), ("",), ("a/b",)])
def test_a_host_with_more_than_a_name_is_refused_at_the_start(hosts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="host name"):
        Settings.model_validate({"http": {"hosts": hosts}})


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "Cross-Site", "Origin": "http://127.0.0.1"},
    {"Origin": "null"},
    {"Origin": "http://evil.test"},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://127.0.0.1.evil.test"},
    {"Origin": "file://"},
    {"Origin": "chrome-extension://abc"},
    {"Origin": "http://127.0.0.1:x"},
    {"Origin": "127.0.0.1"},
]
OURS = [
    {},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:80"},
    {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    # Behind a proxy that speaks TLS to the browser.
    {"Origin": "https://127.0.0.1"},
    # Behind a proxy that puts its own name for the service into Host.
    {"Origin": "https://cxr.hospital.test", "Sec-Fetch-Site": "same-origin"},
]


def routes(service: Service) -> list[tuple[str, str]]:
    """Every method of every route that changes or computes something."""
    found = []
    for route in service.app.routes:
        path = getattr(route, "path", "").replace("{", "").replace("}", "")
        found += [(method, path) for method in getattr(route, "methods", None) or () if method not in ("GET", "HEAD")]
    return sorted(found)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_nothing_that_a_foreign_page_sends_reaches_a_route(settings: Settings, headers: dict[str, str]) -> None:
    async with running(settings) as service:
        known = routes(service)
        assert ("POST", "/v1/reports") in known
        for method, path in known:
            answer = await service.client.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, path)
            assert "cross_site" in answer.text


@pytest.mark.parametrize("headers", OURS, ids=str)
async def test_its_own_page_and_clients_that_are_no_browsers_are_answered(
    settings: Settings, headers: dict[str, str]
) -> None:
    async with running(settings) as service:
        files = {"image": encoded(gradient())}
        assert (await service.client.post("/v1/reports", files=files, headers=headers)).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_link_from_another_site_opens_a_page(settings: Settings, headers: dict[str, str]) -> None:
    async with running(settings) as service:
        assert (await service.client.get("/version", headers=headers)).status_code == 200


async def test_a_page_of_a_named_host_may_post_from_any_port(settings: Settings) -> None:
    changed = settings.model_copy(update={"http": settings.http.model_copy(update={"hosts": ("viewer.test",)})})
    async with running(changed) as service:
        headers = {"Origin": "https://viewer.test:8443"}
        files = {"image": encoded(gradient())}
        assert (await service.client.post("/v1/reports", files=files, headers=headers)).status_code == 200
