"""What DBOS keeps is plain JSON, an error without its message, and a pickle is not read by any name."""

import base64
import datetime
import pickle
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOSClient, _serialization

from app.errors import Conflict
from app.jobs.serialization import PLAIN_JSON, error_as_data
from app.third_parties import set_up_dbos

NAMES = ["py_pickle", "portable_json", "custom_serializer", "x", None]


@pytest.fixture(autouse=True)
def _set_up() -> None:
    set_up_dbos(PLAIN_JSON, error_as_data)


def test_arguments_and_results_come_back_as_they_were() -> None:
    kept, name = _serialization.serialize_args(("a1b2", None), {"trace": "00-1"}, None, PLAIN_JSON)
    found = _serialization.deserialize_args(kept, name, PLAIN_JSON)
    assert found == {"args": ("a1b2", None), "kwargs": {"trace": "00-1"}}
    for value in (None, True, 1.5, "Müller \x00 \ud800", [1, [2]], {"reason": {"code": "x", "detail": "y"}}):
        kept, name = _serialization.serialize_value(value, None, PLAIN_JSON)
        assert kept is not None
        assert kept.isascii()
        assert _serialization.deserialize_value(kept, name, PLAIN_JSON) == value


@pytest.mark.parametrize(
    "value", [{1}, b"x", datetime.date(2026, 1, 1), {1: 2}, object()], ids=lambda v: type(v).__name__
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        PLAIN_JSON.serialize({"value": [value]})


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (Conflict("The job is over."), {"name": "Conflict", "message": "The job is over.", "code": "conflict"}),
        (ValueError("SENTINEL"), {"name": "ValueError", "message": "ValueError", "code": None}),
        (sa.exc.DataError("INSERT", {}, ValueError("SENTINEL")), {"message": "DataError", "code": None}),
    ],
)
def test_an_error_is_kept_without_its_message_and_read_as_a_plain_one(error: Exception, kept: dict[str, Any]) -> None:
    for name in ("portable_json", "py_pickle", None):
        text, written = _serialization.serialize_exception(error, name, PLAIN_JSON)
        assert "SENTINEL" not in text
        if written == "portable_json":
            found = _serialization.deserialize_exception(text, written, PLAIN_JSON)
            assert type(found) is _serialization.PortableWorkflowError
            assert {**vars(found), **kept} == vars(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_is_not_read_whatever_its_row_says(name: str | None) -> None:
    text = base64.b64encode(pickle.dumps({"args": (), "kwargs": {}})).decode()
    for read in ("deserialize_value", "deserialize_args", "deserialize_exception"):
        with pytest.raises((ValueError, TypeError)):
            getattr(_serialization, read)(text, name, PLAIN_JSON)


def test_nothing_that_dbos_makes_by_itself_unpickles() -> None:
    made = DBOSClient.__init__.__kwdefaults__["serializer"]
    with pytest.raises(ValueError, match="no JSON"):
        made.deserialize(base64.b64encode(pickle.dumps("x")).decode())


def test_a_release_of_dbos_that_still_unpickles_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_serialization, "deserialize_value", lambda text, *_: pickle.loads(base64.b64decode(text)))
    with pytest.raises(RuntimeError, match="unpickles"):
        set_up_dbos(PLAIN_JSON, error_as_data)
