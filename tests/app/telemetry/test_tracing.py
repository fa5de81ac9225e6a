"""Spans: where they begin, what they belong to, what they say."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.settings import OtlpSettings, Settings
from app.telemetry import tracing
from tests.support.service import Service, encoded, gradient, running
from tests.support.studies import finished, instance, parsed, quick, stow

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = int("0af7651916cd43dd8448eb211c80319c", 16)


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """One provider a process is all that OpenTelemetry admits."""
    found = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    trace.set_tracer_provider(provider)
    tracing.configure(OtlpSettings(), "test")
    return found


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def linked(spans: InMemorySpanExporter, name: str) -> dict[str, ReadableSpan]:
    """The spans of the trace that a request of that name began, which is linked to its client's."""
    (first,) = (span for span in spans.get_finished_spans() if span.name == name)
    assert first.parent is None
    assert [link.context.trace_id for link in first.links] == [TRACE]
    ours = first.context.trace_id
    assert ours != TRACE
    return {span.name: span for span in spans.get_finished_spans() if span.context.trace_id == ours}


async def test_a_request_begins_a_trace_that_is_linked_to_its_clients(
    service: Service, spans: InMemorySpanExporter
) -> None:
    files = {"image": encoded(gradient())}
    await service.client.post("/v1/reports", files=files, headers={"traceparent": PARENT})
    found = linked(spans, "POST /v1/reports")
    assert {"POST /v1/reports", "decode", "encode", "generate"} <= set(found)
    assert found["decode"].parent is not None
    assert found["decode"].parent.span_id == found["POST /v1/reports"].context.span_id
    assert found["POST /v1/reports"].attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("odd", ["", "x", PARENT.upper(), PARENT + "-x", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
async def test_an_odd_traceparent_is_ignored(service: Service, spans: InMemorySpanExporter, odd: str) -> None:
    assert (await service.client.get("/livez", headers={"traceparent": odd})).status_code == 200
    assert all(link.context.is_valid for span in spans.get_finished_spans() for link in span.links)


async def test_a_study_belongs_to_the_trace_of_its_arrival(settings: Settings, spans: InMemorySpanExporter) -> None:
    data = instance()
    async with running(quick(settings), durable=True) as service:
        service.client.headers["traceparent"] = PARENT
        await stow(service.client, data)
        del service.client.headers["traceparent"]
        await finished(service.client, str(parsed(data).StudyInstanceUID))
    found = linked(spans, "POST /dicom-web/studies")
    assert {"study.read", "study.encode", "study.generate", "decode"} <= set(found)


def test_a_failing_span_says_its_type_and_not_its_message(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), tracing.span("work"):
        raise ValueError("secret")
    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError"
    assert "secret" not in span.to_json()


def test_the_trace_in_force_goes_out_as_w3c_headers(spans: InMemorySpanExporter) -> None:
    with tracing.continued(PARENT), tracing.span("send"):
        assert tracing.headers()["traceparent"].split("-")[1] == PARENT.split("-")[1]
    with tracing.continued(None):
        assert tracing.traceparent() is None
