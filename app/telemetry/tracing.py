"""Traces: OpenTelemetry spans with W3C context out, and in as a link, exported only where an endpoint is configured.

A span has a name, times, ids and hashed UIDs; never a text, a name or what an exception says.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.settings import OtlpSettings

_SERVICE = "llm-cxr-server"
_PARENT = "traceparent"
_NO_SPAN = nullcontext(trace.INVALID_SPAN)
_provider: TracerProvider | None = None


def configure(settings: OtlpSettings, version: str) -> None:
    """Export spans from now on; without an endpoint nothing is recorded. Once a process."""
    global _provider
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    _recorded.cache_clear()
    if settings.endpoint is None or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    resource = Resource.create({"service.name": _SERVICE, "service.version": version})
    _provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.endpoint)))
    trace.set_tracer_provider(_provider)


@cache
def _recorded() -> bool:
    """Whether anybody, configured here or by OpenTelemetry's own means, records spans. Known for good once asked."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def flush() -> None:
    """Export what waits."""
    if _provider is not None:
        _provider.force_flush(5_000)


def span(
    name: str,
    carrier: Mapping[str, str] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: str | int | float,
) -> AbstractContextManager[Span]:
    """A span around the block, below the one in force. With `carrier`, the headers of a request, it begins a trace of
    its own, linked to what they name: a stranger's id is not handed on to a PACS, and decides on no sampling.
    """
    if not _recorded():
        return _NO_SPAN
    return _span(name, carrier, kind, attributes)


@contextmanager
def _span(
    name: str, carrier: Mapping[str, str] | None, kind: SpanKind, attributes: Mapping[str, str | int | float]
) -> Iterator[Span]:
    parent = None if carrier is None else context.Context()
    named = trace.get_current_span(propagate.extract(carrier or {}, context.Context())).get_span_context()
    links = [trace.Link(named)] if named.is_valid else []
    tracer = trace.get_tracer(_SERVICE)
    with tracer.start_as_current_span(
        name,
        parent,
        kind=kind,
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR))
            current.set_attribute("error.type", type(error).__name__)
            raise


def headers() -> dict[str, str]:
    """The headers that carry the trace in force to another service."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def traceparent() -> str | None:
    """The trace in force as one value, to be kept with work that is done later."""
    return headers().get(_PARENT)


@contextmanager
def continued(parent: str | None) -> Iterator[None]:
    """Work of the block belongs to the trace that was in force when `parent` was taken."""
    token = context.attach(propagate.extract({_PARENT: parent} if parent else {}))
    try:
        yield
    finally:
        context.detach(token)
