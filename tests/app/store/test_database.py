"""Engines: what they keep out of their errors."""

import ast
from pathlib import Path

import pytest
import sqlalchemy as sa

import app
from app.store.database import create_engine

_MAKERS = ("create_engine", "create_async_engine", "engine_from_config", "create_mock_engine")


def _engines(source: str) -> list[ast.Call]:
    """Calls of SQLAlchemy's own makers of engines."""
    tree = ast.parse(source)
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        for name in node.names
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if (isinstance(call.func, ast.Attribute) and call.func.attr in _MAKERS)
        or (isinstance(call.func, ast.Name) and call.func.id in _MAKERS and call.func.id in imported)
    ]


def test_every_engine_keeps_parameters_out_of_its_errors() -> None:
    found = {path: _engines(path.read_text()) for path in Path(app.__file__).parent.rglob("*.py")}
    calls = [(path, call) for path, there in found.items() for call in there]
    assert calls
    for path, call in calls:
        hides = [word.value for word in call.keywords if word.arg == "hide_parameters"]
        assert [isinstance(value, ast.Constant) and value.value for value in hides] == [True], f"{path}:{call.lineno}"


def test_a_statement_that_is_refused_is_quoted_without_its_values(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE one (text VARCHAR(9) CHECK (text <> 'a report'))")
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO one VALUES (:text)"), {"text": "a report"})
    assert "a report" not in str(caught.value).replace(str(caught.value.orig), "")
    engine.dispose()
