"""Headers as pairs of bytes."""

import pytest

from app.api.asgi.headers import header_of, raw, replaced
from tests.support.service import Service


def test_a_header_is_found_by_its_name_in_lower_case_and_absent_ones_are_empty() -> None:
    scope = {"headers": [(b"accept", b"*/*"), (b"x-api-key", b"a"), (b"x-api-key", b"b")]}
    assert header_of(scope, b"x-api-key") == "a"
    assert header_of(scope, b"authorization") == ""


def test_our_headers_take_the_place_of_those_of_the_same_name() -> None:
    message = [(b"content-type", b"text/plain"), (b"cache-control", b"no-cache")]
    found = replaced(message, raw({"Cache-Control": "no-store", "X-Frame-Options": "DENY"}))
    assert found == [(b"content-type", b"text/plain"), (b"cache-control", b"no-store"), (b"x-frame-options", b"DENY")]


@pytest.mark.parametrize("path", ["/ui", "/v1/models/", "/dicom-web/studies/"])
async def test_a_redirection_names_no_host_of_the_clients(service: Service, path: str) -> None:
    response = await service.client.get(path, headers={"Host": "localhost"})
    assert response.status_code == 307
    assert response.headers["location"].startswith("/")
    assert "localhost" not in response.headers["location"]
