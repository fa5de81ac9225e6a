"""Which answers are compressed."""

import pytest

from tests.support.service import Service, encoded, gradient

GZIP = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize("path", ["/openapi.json", "/ui/app.js", "/docs", "/metrics"])
async def test_what_is_the_same_for_all_is_compressed_for_who_accepts_it(service: Service, path: str) -> None:
    small = await service.client.get(path, headers=GZIP)
    plain = await service.client.get(path, headers={"Accept-Encoding": "identity"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["Vary"]
    assert "Content-Encoding" not in plain.headers
    assert int(small.headers["Content-Length"]) < len(plain.content)
    assert (await service.client.head(path, headers=GZIP)).status_code == 200


async def test_what_has_a_clients_words_in_it_is_not(service: Service) -> None:
    report = await service.client.post("/v1/reports", files={"image": encoded(gradient())}, headers=GZIP)
    drawn = await service.client.post("/v1/images/generations", json={"prompt": "x"}, headers=GZIP)
    assert (report.status_code, drawn.status_code) == (200, 200)
    assert "Content-Encoding" not in {*report.headers, *drawn.headers}
