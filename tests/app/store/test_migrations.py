"""The schema's versions, on SQLite and on PostgreSQL: made, brought up, refused."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import CxrError
from app.store.database import Database, create_engine
from app.store.job_states import JobState
from app.store.jobs import Jobs
from app.store.migrations import MIGRATIONS, Migration, pending, version
from app.store.tables import metadata

FIRST_RELEASE = Path(__file__).with_name("first_release.sql")


def _columns(engine: sa.Engine) -> dict[str, set[tuple[str, str, bool]]]:
    inspector = sa.inspect(engine)
    return {
        table.name: {
            (column["name"], str(column["type"]).replace("DOUBLE PRECISION", "FLOAT"), column["nullable"])
            for column in inspector.get_columns(table.name)
        }
        for table in metadata.sorted_tables
    }


def _indices(engine: sa.Engine) -> set[str]:
    inspector = sa.inspect(engine)
    return {str(index["name"]) for table in metadata.sorted_tables for index in inspector.get_indexes(table.name)}


def test_the_migrations_make_what_the_tables_say(url: str) -> None:
    database = Database(url)
    migrated = _columns(database.engine), _indices(database.engine)
    assert database.migrated == [migration.name for migration in MIGRATIONS]
    with database.engine.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert (_columns(database.engine), _indices(database.engine)) == migrated
    database.close()


def test_a_second_start_applies_nothing(url: str) -> None:
    Database(url).close()
    database = Database(url)
    assert database.migrated == []
    with database.reading() as connection:
        assert version(connection) == len(MIGRATIONS)
    database.close()


@pytest.mark.parametrize("later", ["", "DROP INDEX cxr_instances_held"], ids=["released", "before its index"])
async def test_a_database_of_the_first_release_is_brought_up_with_its_studies(url: str, later: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in [*FIRST_RELEASE.read_text().split(";\n"), later]:
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%") if "postgresql" in url else statement)
    engine.dispose()
    database = Database(url)
    assert database.migrated == [migration.name for migration in MIGRATIONS]
    found, total = await Jobs(database).find()
    assert total == 2
    assert {job.state for job in found} == {JobState.DONE}
    done = next(job for job in found if job.report is not None)
    assert done.report is not None
    assert done.report.text == "The lungs are clear."
    assert done.image is not None
    assert len(done.image.codes) == 256
    assert [step.name for step in done.steps] == ["wait", "encode", "generate", "write", "deliver:pacs", "notify"]
    assert "cxr_instances_held" in _indices(database.engine)
    database.close()


def test_a_newer_schema_is_refused_in_words_and_left_alone(url: str) -> None:
    database = Database(url)
    with database.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO cxr_schema (version, name) VALUES (99, 'of another release')")
    database.close()
    with pytest.raises(CxrError, match="schema version 99, and this release knows versions up to") as caught:
        Database(url)
    assert caught.value.code == "schema_newer"


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("ALTER TABLE cxr_jobs DROP COLUMN runs", "the column cxr_jobs.runs"),
        ("ALTER TABLE cxr_instances DROP COLUMN sender", "the column cxr_instances.sender"),
        ("DROP TABLE cxr_nodes", "the table cxr_nodes"),
    ],
)
def test_a_database_that_lacks_something_is_refused_by_its_name(url: str, change: str, missing: str) -> None:
    database = Database(url)
    with database.transaction() as connection:
        connection.exec_driver_sql(change)
    database.close()
    with pytest.raises(CxrError, match=missing) as caught:
        Database(url)
    assert caught.value.code == "schema_damaged"


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE cxr_new (id INTEGER)")
        connection.exec_driver_sql("ALTER TABLE cxr_nowhere ADD COLUMN x INTEGER")

    Database(url).close()
    with monkeypatch.context() as patched:
        patched.setattr("app.store.migrations.MIGRATIONS", (*MIGRATIONS, Migration("broken", fail)))
        with pytest.raises(CxrError, match="cannot be used"):
            Database(url)
    database = Database(url)
    assert not sa.inspect(database.engine).has_table("cxr_new")
    with database.reading() as connection:
        assert version(connection) == len(MIGRATIONS)
        assert pending(connection) == ()
    database.close()
