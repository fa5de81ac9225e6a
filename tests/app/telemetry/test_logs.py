"""Whatever writes to standard error writes lines of the service's form, without the messages of exceptions."""

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from app.telemetry import logs

SECRET = "The lungs are clear."


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Logging as the service sets it up; what it is called with returns the lines so far."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    before = root.handlers, root.level, logging.lastResort, logging.raiseExceptions
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with warnings.catch_warnings():
        logs.configure()
        warnings.simplefilter("always")
        yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers, root.level, logging.lastResort, logging.raiseExceptions = before
    structlog.reset_defaults()


def _refused() -> sa.exc.DBAPIError:
    """What a database that refuses a report's row says: the value stands in the message and in the parameters."""
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE reports (text TEXT CHECK (length(text) < 3))")
            connection.execute(sa.text("INSERT INTO reports VALUES (:text)"), {"text": SECRET})
    except sa.exc.DBAPIError as error:
        return error
    finally:
        engine.dispose()
    raise AssertionError


def test_an_error_of_the_database_is_named_by_its_class_and_code(lines: Any) -> None:
    structlog.get_logger().error("a step failed", exc_info=_refused())
    (line,) = lines()
    assert SECRET not in str(line)
    assert (line["error"], line["database_code"]) == ("IntegrityError", "SQLITE_CONSTRAINT_CHECK")
    assert line["at"]


@pytest.mark.parametrize("logger", ["dbos", "sqlalchemy.pool", "uvicorn.error", "asyncio"])
def test_an_error_that_another_library_logs_is_named_without_its_message(lines: Any, logger: str) -> None:
    try:
        raise _refused()
    except sa.exc.DBAPIError as error:
        logging.getLogger(logger).error(f"It failed: {error}", exc_info=True)
        logging.getLogger(logger).error("It failed with %r", error, stack_info=True)
        logging.getLogger(logger).error(f"It failed: {error.orig}\n{error!r}")
    found = lines()
    assert len(found) == 3
    assert all(line["logger"] == logger and "IntegrityError" in str(line) for line in found)
    assert SECRET not in str(found)


def test_what_dbos_could_not_keep_is_not_logged(lines: Any) -> None:
    logging.getLogger("dbos").error(f"Error serializing object: {{'text': '{SECRET}'}}")
    assert lines()[0]["event"] == "Error serializing object"


def test_a_logger_without_a_handler_of_its_own_writes_the_same_lines(lines: Any) -> None:
    logger = logging.getLogger("tests.alone")
    logger.propagate = False
    logger.error("alone", exc_info=ValueError(SECRET))
    logger.propagate = True
    (line,) = lines()
    assert (line["event"], line["error"]) == ("alone", "ValueError")


def test_a_line_that_cannot_be_written_does_not_print_its_arguments(lines: Any) -> None:
    logging.getLogger("tests.broken").error("%d %d", SECRET)
    (line,) = lines()
    assert line["event"] == "a line of another library could not be written"
    assert SECRET not in str(line)


async def test_a_task_whose_error_nobody_took_does_not_print_it(lines: Any) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    (line,) = lines()
    assert (line["event"], line["error"]) == ("Task exception was never retrieved", "ValueError")
    assert SECRET not in str(line)


def test_an_error_that_ends_a_thread_or_the_process_does_not_print_its_message(lines: Any) -> None:
    def fail() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    error = _refused()
    sys.excepthook(type(error), error, error.__traceback__)
    found = lines()
    assert [line["error"] for line in found] == ["ValueError", "IntegrityError"]
    assert found[0]["thread"] == "worker"
    assert SECRET not in str(found)


def test_a_warning_is_named_without_its_text(lines: Any) -> None:
    warnings.warn(f"Invalid value: {SECRET}", UserWarning, stacklevel=1)
    (line,) = lines()
    assert line["category"] == "UserWarning"
    assert line["at"].startswith("test_logs.py:")
    assert SECRET not in str(line)
