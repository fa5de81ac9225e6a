"""Health, metrics, versions and models."""

import asyncio

from app.engine.fake import FakeEngine
from app.errors import Unavailable
from app.settings import Settings
from tests.support.service import Service, encoded, gradient, running


async def test_a_ready_service_says_so_part_by_part(service: Service) -> None:
    response = await service.client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "parts": {"engine": "ok", "codec": "ok", "screen": "ok", "decoders": "ok", "state_dir": "ok"},
        "under_way": 0,
    }


async def test_a_part_that_does_not_answer_is_named(service: Service) -> None:
    service.engine.enqueue_failure(Unavailable("slow"))
    response = await service.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["engine"] == "unavailable"
    assert response.json()["parts"]["codec"] == "ok"


async def test_requests_before_the_start_is_over_are_503_and_the_process_is_live(settings: Settings) -> None:
    class SlowEngine(FakeEngine):
        async def start(self) -> None:
            await asyncio.Event().wait()

    async with running_without_waiting(settings, SlowEngine) as service:
        assert (await service.client.get("/livez")).status_code == 200
        assert (await service.client.get("/readyz")).json()["parts"] == {"service": "starting"}
        refused = await service.client.post("/v1/reports", files={"image": encoded(gradient())})
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0


def running_without_waiting(settings: Settings, engine: type[FakeEngine]):  # type: ignore[no-untyped-def]
    import contextlib

    import httpx

    from tests.support.service import bundle_in_memory

    @contextlib.asynccontextmanager
    async def context():  # type: ignore[no-untyped-def]
        service = Service(settings, engine=engine(bundle_in_memory().vocabulary))
        async with (
            service.app.router.lifespan_context(service.app),
            httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://127.0.0.1") as client,
        ):
            service.client = client
            yield service

    return context()


async def test_an_engine_that_dies_ends_readiness(settings: Settings) -> None:
    async with running(settings) as service:
        service.engine.alive = False
        await asyncio.wait_for(service.app.state.service.lifecycle.failed.wait(), 5)
        assert (await service.client.get("/readyz")).status_code == 503
        assert (await service.client.get("/livez")).status_code == 200


async def test_metrics_count_requests_by_route_template(service: Service) -> None:
    await service.client.post("/v1/reports", files={"image": encoded(gradient())})
    text = (await service.client.get("/metrics")).text
    assert 'cxr_http_requests_total{method="POST",route="/v1/reports",status="200",task="report"}' in text
    assert 'cxr_stage_seconds_count{stage="encode"}' in text
    assert "cxr_ready 1.0" in text


async def test_an_unknown_path_is_404_and_makes_no_series_of_its_own(service: Service) -> None:
    response = await service.client.get("/v1/nothing/1.2.3")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert "1.2.3" not in (await service.client.get("/metrics")).text


async def test_models_are_listed_in_openais_form(service: Service) -> None:
    body = (await service.client.get("/v1/models")).json()
    assert [item["id"] for item in body["data"]] == ["fake-1"]


async def test_the_version_names_the_bundle(service: Service) -> None:
    assert (await service.client.get("/version")).json()["bundle"]["name"] == "fake"


async def test_the_openapi_document_describes_every_operation(service: Service) -> None:
    document = (await service.client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path


async def test_a_start_that_breaks_in_an_unforeseen_way_fails_instead_of_hanging(settings: Settings) -> None:
    class BrokenEngine(FakeEngine):
        async def start(self) -> None:
            raise RuntimeError("installation is broken")

    async with running_without_waiting(settings, BrokenEngine) as service:
        await asyncio.wait_for(service.app.state.service.lifecycle.failed.wait(), 5)
        assert (await service.client.get("/readyz")).json()["parts"] == {"service": "failed"}


async def test_the_documentation_page_loads_nothing_from_another_host(service: Service) -> None:
    page = (await service.client.get("/docs")).text
    assert "swagger-ui" in page
    assert "http://" not in page.replace("http://test", "")
    assert "https://" not in page
    script = await service.client.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


async def test_the_openapi_document_has_examples_and_a_curl_line_for_each_job(service: Service) -> None:
    document = (await service.client.get("/openapi.json")).json()
    for path in ("/v1/reports", "/v1/answers", "/v1/images/generations"):
        assert document["paths"][path]["post"]["x-curl"].startswith("curl ")
    assert document["components"]["schemas"]["DrawRequest"]["properties"]["prompt"]["examples"]
