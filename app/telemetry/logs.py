"""Logs: JSON lines on standard error, one event each, without patient data."""

import logging
import sys
from typing import Any

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger


def _without_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the type and place of an exception; its message may quote what a client sent."""
    error: Any = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        frame, places = error.__traceback__, []
        while frame is not None:
            code = frame.tb_frame.f_code
            places.append(f"{code.co_name}:{frame.tb_lineno}")
            frame = frame.tb_next
        event["error"], event["at"] = type(error).__name__, places[-8:]
    return event


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the id of the trace in force, where one is recorded."""
    current = trace.get_current_span().get_span_context()
    if current.is_valid and current.trace_flags.sampled:
        event["trace_id"] = trace.format_trace_id(current.trace_id)
    return event


def configure(*, human: bool = False, level: int = logging.INFO) -> None:
    """Set logging up once for the process; `human` prints lines for a terminal instead of JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
        _without_values,
    ]
    renderer = structlog.dev.ConsoleRenderer(colors=False) if human else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
