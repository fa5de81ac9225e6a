"""Which answers are compressed."""

import httpx
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


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        (["gzip;q=0"], False),
        (["gzip; q=0.0"], False),
        (["GZIP;Q=0"], False),
        (["*;q=0"], False),
        (["gzip;q=0, *"], False),
        (["deflate, gzip;q=0", "br"], False),
        (["gzip;q=0.2, identity"], False),
        (["gzip;q=x"], False),
        (["notgzip"], False),
        ([""], False),
        ([], False),
        (["*"], True),
        (["*;q=0, gzip"], True),
        (["identity;q=0, *;q=0.1"], True),
        (["X-Gzip"], True),
        (["br", "deflate, GZip;q=0.5"], True),
        (["gzip, deflate, br, zstd"], True),
    ],
    ids=str,
)
async def test_what_a_client_says_of_gzip_counts(service: Service, accepted: list[str], compressed: bool) -> None:
    request = service.client.build_request("GET", "/ui/app.js")
    request.headers = httpx.Headers([("Host", "localhost"), *(("Accept-Encoding", one) for one in accepted)])
    response = await service.client.send(request)
    assert response.status_code == 200
    assert (response.headers.get("Content-Encoding") == "gzip") is compressed
    assert "Accept-Encoding" in response.headers["Vary"]


async def test_what_has_a_clients_words_in_it_is_not(service: Service) -> None:
    report = await service.client.post("/v1/reports", files={"image": encoded(gradient())}, headers=GZIP)
    drawn = await service.client.post("/v1/images/generations", json={"prompt": "x"}, headers=GZIP)
    assert (report.status_code, drawn.status_code) == (200, 200)
    assert "Content-Encoding" not in {*report.headers, *drawn.headers}
