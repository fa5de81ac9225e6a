"""Every route and every kind of credential: who is let in, who is not, and which rule says so."""

import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi.routing import APIRoute

from app.api.rules import RULES, rule_of
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.service import Service, running

OPEN = {"/livez", "/readyz", "/startupz", "/health", "/version", "/docs", "/openapi.json", "/"}
OPEN_TREES = ("/static-offline-docs", "/ui", "/docs", "/v1/images/files")
STUDIES = {Scope.DICOM, Scope.DICOM_STORE, Scope.DICOM_READ, Scope.JOBS_MANAGE}
# What each role may do, as docs/security.md says: by method and path, the scopes that let in (`admin` always does).
LETS_IN = [
    ("*", r"/v1/(reports|answers|findings|evidence|images/|chat/|models)", {Scope.INFER}),
    ("*", r"/v1/usage", set(Scope)),
    ("GET", r"/v1/jobs", STUDIES),
    ("*", r"/v1/jobs", {Scope.DICOM, Scope.JOBS_MANAGE}),
    ("GET", r"/dicom-web/", {Scope.DICOM, Scope.DICOM_READ}),
    ("DELETE", r"/dicom-web/", set()),
    ("*", r"/dicom-web/", {Scope.DICOM, Scope.DICOM_STORE}),
    ("*", r"/metrics", {Scope.METRICS}),
    ("*", r"/v1/", set()),
]


@pytest.fixture
async def locked(settings: Settings) -> AsyncIterator[Service]:
    Keys(settings.keys_file).create("first", (Scope.ADMIN,))
    async with running(settings, durable=True) as service:
        yield service


def requests_of(service: Service) -> list[tuple[str, str]]:
    """A method and a path for everything that the application answers."""
    found = []
    for route in service.app.routes:
        path = re.sub(r"\{job_id\}", "0" * 32, getattr(route, "path", ""))
        path = re.sub(r"\{[^}]*\}", "1.2.3", path)
        methods = route.methods if isinstance(route, APIRoute) else getattr(route, "methods", None) or {"GET"}
        found += [(method, path) for method in sorted(methods - {"HEAD", "OPTIONS"})]
    return found


def lets_in(method: str, path: str) -> set[Scope]:
    for wanted, pattern, scopes in LETS_IN:
        if wanted in ("*", method) and re.match(pattern, path):
            return scopes | {Scope.ADMIN}
    raise AssertionError(f"no rule of this test for {method} {path}")


def is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_TREES)


async def ask(service: Service, method: str, path: str, token: str | None) -> httpx.Response:
    service.app.state.service.guard._keys._checked = 0.0
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await service.client.request(method, path, headers=headers)


def test_every_route_is_either_meant_to_be_open_or_asks_for_a_scope(service: Service) -> None:
    for method, path in requests_of(service):
        assert bool(rule_of(path).scopes(method)) is not is_open(path), path
    assert [rule.scopes("GET") for rule in RULES if rule.prefix == "/v1/"] == [(Scope.ADMIN,)]


async def test_without_a_valid_key_every_route_but_the_open_ones_is_401(locked: Service, settings: Settings) -> None:
    keys = Keys(settings.keys_file)
    whole = (Scope.ADMIN,)
    expired, revoked = keys.create("expired", whole, time.time() - 1.0), keys.create("revoked", whole)
    keys.revoke(revoked.split("_")[1])
    credentials = (None, "x", "cxr_0_0", expired, revoked, revoked[:-1] + "A", "a.b.c")
    for method, path in requests_of(locked):
        for credential in credentials:
            status = (await ask(locked, method, path, credential)).status_code
            assert (status == 401) is not is_open(path), (method, path, credential, status)


@pytest.mark.parametrize("scope", list(Scope))
async def test_each_scope_lets_into_its_own_routes_and_no_other(
    locked: Service, settings: Settings, scope: Scope
) -> None:
    token = Keys(settings.keys_file).create("one", (scope,))
    for method, path in requests_of(locked):
        if not is_open(path):
            status = (await ask(locked, method, path, token)).status_code
            assert status != 401
            assert (status == 403) is (scope not in lets_in(method, path)), (method, path, status)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_methods_that_no_route_has_ask_for_a_key_too(locked: Service, method: str) -> None:
    for path in ("/dicom-web/studies", "/v1/jobs", "/v1/reports", "/v1/anything", "/metrics"):
        assert (await ask(locked, method, path, None)).status_code == 401, path
