"""DBOS's rows, where they are not the JSON that this release writes: those of the first release, which are pickles, are
read once and written as JSON, and those that nobody can read are ended. Nothing of them is run.

DBOS's tables lie beside the service's, on PostgreSQL in a schema of their own.
"""

import base64
import io
import json
import pickle
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import structlog

log = structlog.get_logger(__name__)

_JSON, _PICKLE = "portable_json", "py_pickle"
_LIVE = ("ENQUEUED", "DELAYED", "PENDING")
_STATUS, _INPUT, _OUTPUT = "workflow_status", "workflow_input", "workflow_output"
# What a table keeps of a workflow, whose id is in the first column named, and values.
_KEPT = {
    "operation_outputs": ("workflow_uuid", ("output", "error")),
    "notifications": ("destination_uuid", ("message",)),
    "workflow_events": ("workflow_uuid", ("value",)),
    "workflow_events_history": ("workflow_uuid", ("value",)),
    "streams": ("workflow_uuid", ("value",)),
}
_NO_ARGUMENTS = json.dumps({"positionalArgs": [], "namedArgs": {}})
_ERROR = json.dumps({"name": "Error", "message": "What was kept of it cannot be read.", "code": None})
# A pickle as text begins so, and no JSON does.
_BEGINS = "gA%"
_MOST_CHARACTERS, _MOST_VALUES = 4_000_000, 100_000


class _Unreadable(Exception):
    """A pickle of more than texts, numbers, lists and dictionaries."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        """Refuse whatever a pickle would import or call. Raises _Unreadable."""
        raise _Unreadable


def plain(text: str) -> Any:
    """What a pickle says, as JSON has it. Raises _Unreadable."""
    if len(text) > _MOST_CHARACTERS:
        raise _Unreadable
    try:
        return _Values().copied(_PlainUnpickler(io.BytesIO(base64.b64decode(text))).load())
    except Exception as error:  # of a pickle that is damaged, anything
        raise _Unreadable from error


class _Values:
    """Copies values, but for so many at most: a short pickle may name the same list very often."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def copied(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _Unreadable
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return [self.copied(item) for item in value]
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self.copied(item) for key, item in value.items()}
        raise _Unreadable


def rewrite_workflows(connection: sa.Connection) -> None:
    """Write what is pickled as JSON.

    A workflow under way of which something cannot be read is ended, and its job is taken up anew as one without a
    workflow. Of those that are over the fact alone is kept.
    """
    schema = _schema(connection)
    if not sa.inspect(connection).has_table(_STATUS, schema=schema):
        return
    there = sa.inspect(connection).get_table_names(schema=schema)
    metadata = sa.MetaData()
    tables = {
        name: sa.Table(name, metadata, schema=schema, autoload_with=connection, resolve_fks=False)
        for name in (_STATUS, _INPUT, _OUTPUT, *_KEPT)
        if name in there
    }
    status = tables[_STATUS].c
    of_live = sa.select(status.workflow_uuid).where(status.status.in_(_LIVE))
    unreadable: set[str] = set()
    for name, (key, columns) in _KEPT.items():
        if name in tables:
            table = tables[name]
            _forget(connection, table, columns, table.c[key].not_in(of_live))
            unreadable |= _rewrite(connection, table, key, columns)
    unreadable |= _rewrite_inputs(connection, tables)
    _forget_outcomes(connection, tables)
    for workflow in sorted(unreadable):
        ended = {"status": "ERROR", "error": _ERROR, "inputs": _NO_ARGUMENTS}
        _update(connection, tables[_STATUS], status.workflow_uuid == workflow, ended)
    _update(connection, tables[_STATUS], _is_pickled(tables[_STATUS], ("inputs", "output", "error")), {})
    if unreadable:
        log.warning("workflows of the first release cannot be read; their jobs begin anew", count=len(unreadable))


def _is_pickled(table: sa.Table, columns: Sequence[str]) -> sa.ColumnElement[bool]:
    """The rows that say that they are pickles, and those that say nothing and are."""
    begins = sa.or_(*(table.c[column].like(_BEGINS) for column in columns))
    if "serialization" not in table.c:
        return begins
    return sa.or_(table.c.serialization == _PICKLE, sa.and_(table.c.serialization.is_(None), begins))


def _update(connection: sa.Connection, table: sa.Table, rows: sa.ColumnElement[bool], values: dict[str, Any]) -> None:
    marked = {"serialization": _JSON} if "serialization" in table.c else {}
    if values or marked:
        connection.execute(sa.update(table).where(rows).values({**values, **marked}))


def _forget(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: sa.ColumnElement[bool]) -> None:
    empty = {column: None if table.c[column].nullable else "null" for column in columns}
    _update(connection, table, sa.and_(rows, _is_pickled(table, columns)), empty)


def _rewrite(connection: sa.Connection, table: sa.Table, key: str, columns: Sequence[str]) -> set[str]:
    """Write each row's values as JSON; returns the workflows of which one cannot be read."""
    unreadable = set()
    for row in connection.execute(sa.select(table).where(_is_pickled(table, columns))).mappings().all():
        values: dict[str, Any] = {}
        for column in columns:
            if row[column] is None:
                continue
            try:
                values[column] = _ERROR if column == "error" else json.dumps(plain(row[column]))
            except _Unreadable:
                values[column] = "null"
                unreadable.add(str(row[key]))
        mine = sa.and_(*(column == row[column.name] for column in table.primary_key))
        _update(connection, table, mine, values)
    return unreadable


def _rewrite_inputs(connection: sa.Connection, tables: dict[str, sa.Table]) -> set[str]:
    unreadable = set()
    status = tables[_STATUS]
    # A newer release of DBOS keeps them in a table of their own.
    for table in (tables[name] for name in (_STATUS, _INPUT) if name in tables):
        pickled = sa.and_(table.c.inputs.is_not(None), table.c.inputs.like(_BEGINS))
        live = sa.select(status.c.workflow_uuid).where(status.c.status.in_(_LIVE))
        query = sa.select(table.c.workflow_uuid, table.c.inputs).where(pickled, table.c.workflow_uuid.in_(live))
        for workflow, text in connection.execute(query).all():
            try:
                found = plain(text)
                inputs = json.dumps({"positionalArgs": list(found["args"]), "namedArgs": dict(found["kwargs"])})
            except (_Unreadable, TypeError, ValueError, KeyError):
                inputs = _NO_ARGUMENTS
                unreadable.add(str(workflow))
            connection.execute(sa.update(table).where(table.c.workflow_uuid == workflow).values(inputs=inputs))
        connection.execute(sa.update(table).where(pickled).values(inputs=_NO_ARGUMENTS))
    return unreadable


def _forget_outcomes(connection: sa.Connection, tables: dict[str, sa.Table]) -> None:
    for table in (tables[name] for name in (_STATUS, _OUTPUT) if name in tables):
        for column, kept in (("output", None), ("error", _ERROR)):
            pickled = table.c[column].like(_BEGINS)
            connection.execute(sa.update(table).where(pickled).values({column: kept}))


def end_unreadable(connection: sa.Connection) -> int:
    """End workflows whose rows name a form that nobody reads, which DBOS would begin for ever; returns how many."""
    columns = sa.column("status", sa.Text), sa.column("error", sa.Text), sa.column("serialization", sa.Text)
    status = sa.table(_STATUS, *columns, schema=_schema(connection))
    strange = sa.or_(status.c.serialization.is_(None), status.c.serialization.not_in((_JSON, _PICKLE)))
    ended = sa.update(status).where(status.c.status.in_(_LIVE), strange).values(status="ERROR", error=_ERROR)
    return connection.execute(ended.values(serialization=_JSON)).rowcount


def _schema(connection: sa.Connection) -> str | None:
    return "dbos" if connection.dialect.name == "postgresql" else None
