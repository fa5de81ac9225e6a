"""Logs: JSON lines on standard error, one event each, without patient data.

Everything that is logged, warned of or raised unnoticed in the process goes through here, other libraries' lines too.
An exception is named by its class, the database's code and its place: its message may quote a value or a report.
"""

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

from app.telemetry.error_names import database_code, named

log = structlog.get_logger(__name__)

_PLACES = 8
# A shorter message is in other words too, ids for example.
_SHORTEST = 4


def _error_of(given: Any) -> BaseException | None:
    """The exception that the ways of giving `exc_info` mean."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _without_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the class, the database's code and the place of an exception."""
    event.pop("stack_info", None)
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        frame, places = error.__traceback__, []
        while frame is not None:
            code = frame.tb_frame.f_code
            places.append(f"{code.co_name}:{frame.tb_lineno}")
            frame = frame.tb_next
        event["error"], event["at"] = type(error).__name__, places[-_PLACES:]
        if refused := database_code(error):
            event["database_code"] = refused
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        # SQLAlchemy's errors carry the driver's, whose message alone a library may have put into its line.
        if isinstance(origin := getattr(error, "orig", None), BaseException):
            yield origin
        error = error.__cause__ or error.__context__


def _without_texts(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the first line of what another library logs, with errors' names in the place of their messages."""
    record: logging.LogRecord = event["_record"]
    text = str(event["event"])
    errors = [*_chain(_error_of(event.get("exc_info"))), *_chain(sys.exc_info()[1])]
    for error in errors:
        for quoted in (repr(error), str(error)):
            if len(quoted) >= _SHORTEST:
                text = text.replace(quoted, named(error))
    text = text.strip().partition("\n")[0]
    if record.name.partition(".")[0] == "dbos":
        # It writes what went wrong into its sentences, behind a colon: an error's message, or the value itself.
        text = text.partition(":")[0]
    event["event"], event["logger"] = text.rstrip(": "), record.name
    if errors and not event.get("exc_info"):
        event["error"] = named(errors[0])
    return event


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the id of the trace in force, where one is recorded."""
    current = trace.get_current_span().get_span_context()
    if current.is_valid and current.trace_flags.sampled:
        event["trace_id"] = trace.format_trace_id(current.trace_id)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the standard library's name
        """Say that a line is missing; the standard library would print its text and its arguments."""
        error = sys.exc_info()[1]
        with contextlib.suppress(OSError, ValueError):  # standard error is gone
            log.error("a line of another library could not be written", logger=record.name, exc_info=error)


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
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_without_texts, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # What a logger without any handler would print by itself.
    logging.lastResort = handler
    logging.raiseExceptions = False
    _take_over()


def _take_over() -> None:
    """Log what Python itself would print to standard error, with messages and sources."""

    def uncaught(_: type[BaseException], error: BaseException, __: object) -> None:
        if isinstance(error, KeyboardInterrupt):
            return
        log.critical("an error ended the process", exc_info=error)

    def in_thread(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None and not isinstance(given.exc_value, SystemExit):
            name = given.thread.name if given.thread is not None else None
            log.error("an error ended a thread", thread=name, exc_info=given.exc_value)

    def unraisable(given: Any) -> None:
        log.error("an error nobody could take", exc_info=given.exc_value)

    def warned(_: Warning | str, category: type[Warning], filename: str, line: int, *__: object) -> None:
        log.warning("a library warns", category=category.__name__, at=f"{filename.rpartition('/')[2]}:{line}")

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable
    warnings.showwarning = warned  # type: ignore[assignment]
