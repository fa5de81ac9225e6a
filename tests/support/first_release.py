"""What the first release kept of its workflows: DBOS's tables with pickles in them."""

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import sqlalchemy as sa

VALUES = ("inputs", "output", "error", "message", "value")
TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


class Code:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


def pickled(value: Any) -> str:
    """A value as the first release kept it."""
    return base64.b64encode(pickle.dumps(value)).decode()


def tables(connection: sa.Connection, names: tuple[str, ...] = TABLES) -> dict[str, sa.Table]:
    """DBOS's tables as they are."""
    schema = "dbos" if connection.dialect.name == "postgresql" else None
    metadata = sa.MetaData()
    return {
        name: sa.Table(name, metadata, schema=schema, autoload_with=connection, resolve_fks=False) for name in names
    }


def make_older(connection: sa.Connection) -> int:
    """Pickle all that is JSON, as if the first release had written it; returns how many rows."""
    count = 0
    for table in tables(connection).values():
        for row in connection.execute(sa.select(table)).mappings().all():
            changed = {name: _older(name, row[name]) for name in VALUES if row.get(name) is not None}
            if "serialization" in table.c:
                changed["serialization"] = "py_pickle"
            mine = [column == row[column.name] for column in table.primary_key]
            connection.execute(sa.update(table).where(*mine).values(changed))
            count += 1
    forget_migration(connection)
    return count


def forget_migration(connection: sa.Connection) -> None:
    """Let the next start read the workflows of the first release."""
    mine = "SELECT version FROM cxr_schema WHERE name = 'workflows of the first release as JSON'"
    connection.exec_driver_sql(f"DELETE FROM cxr_schema WHERE version >= ({mine})")
    # What later migrations made.
    connection.exec_driver_sql("DROP TABLE cxr_kept")
    for column in ("character_set", "states"):
        connection.exec_driver_sql(f"ALTER TABLE cxr_instances DROP COLUMN {column}")
    connection.exec_driver_sql("DROP INDEX cxr_jobs_triage")
    for column in ("findings", "triage"):
        connection.exec_driver_sql(f"ALTER TABLE cxr_jobs DROP COLUMN {column}")


def _older(name: str, text: str) -> str:
    value = json.loads(text)
    if name == "inputs":
        return pickled({"args": tuple(value["positionalArgs"]), "kwargs": value["namedArgs"]})
    return pickled(ValueError("The lungs are clear.") if name == "error" else value)
