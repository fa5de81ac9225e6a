"""The schema's versions: numbered migrations, applied in one transaction and recorded in `cxr_schema`.

A migration is never changed once released; what `tables.py` says is what all of them together make. Replicas of the
release before may still run while a newer one migrates: add tables, indices and columns that are nullable or have a
default, remove nothing that they use.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.errors import CxrError
from app.store.tables import metadata
from app.store.workflow_rows import rewrite_workflows

_LOCK = 0x435852  # "CXR": PostgreSQL's advisory lock of what a start does

# Types that SQLite and PostgreSQL both have.
_FIRST_RELEASE = (
    """CREATE TABLE IF NOT EXISTS cxr_studies (
        study_uid VARCHAR(64) NOT NULL PRIMARY KEY, patient_id TEXT NOT NULL, patient_name TEXT NOT NULL,
        study_date VARCHAR(16) NOT NULL, accession_number TEXT NOT NULL, attributes JSON NOT NULL,
        revision INTEGER NOT NULL, job VARCHAR(64), created FLOAT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS cxr_instances (
        sop_instance_uid VARCHAR(64) NOT NULL PRIMARY KEY, sop_class_uid VARCHAR(64) NOT NULL,
        study_uid VARCHAR(64) NOT NULL, series_uid VARCHAR(64) NOT NULL, transfer_syntax_uid VARCHAR(64) NOT NULL,
        modality VARCHAR(16) NOT NULL, attributes JSON NOT NULL, sha256 VARCHAR(64) NOT NULL, bytes BIGINT NOT NULL,
        file VARCHAR(128), origin VARCHAR(8) NOT NULL, sender VARCHAR(64) NOT NULL, job VARCHAR(64),
        received FLOAT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS cxr_jobs (
        id VARCHAR(64) NOT NULL PRIMARY KEY, study_uid VARCHAR(64) NOT NULL, revision INTEGER NOT NULL,
        state VARCHAR(16) NOT NULL, runs INTEGER NOT NULL, attempts INTEGER NOT NULL, created FLOAT NOT NULL,
        updated FLOAT NOT NULL, last_received FLOAT NOT NULL, reason JSON, steps JSON NOT NULL, skipped JSON NOT NULL,
        image JSON, report JSON, documents JSON NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS cxr_nodes (name VARCHAR(64) NOT NULL PRIMARY KEY, seen FLOAT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS cxr_deliveries (
        job VARCHAR(64) NOT NULL, destination VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
        attempts INTEGER NOT NULL, error VARCHAR(64), updated FLOAT NOT NULL, PRIMARY KEY (job, destination))""",
    *(
        f"CREATE INDEX IF NOT EXISTS ix_cxr_{table}_{column} ON cxr_{table} ({column})"
        for table, columns in {
            "studies": ("patient_id", "study_date", "accession_number", "created"),
            "instances": ("study_uid", "series_uid", "job"),
            "jobs": ("study_uid", "state", "created", "updated"),
        }.items()
        for column in columns
    ),
)


def _first_release(connection: sa.Connection) -> None:
    for statement in _FIRST_RELEASE:
        connection.exec_driver_sql(statement)


def _index_held_files(connection: sa.Connection) -> None:
    # The sum of what is held is asked for with every scrape.
    connection.exec_driver_sql(
        "CREATE INDEX IF NOT EXISTS cxr_instances_held ON cxr_instances (bytes) WHERE file IS NOT NULL"
    )


def _state_folder(connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS cxr_state_folder (id VARCHAR(64) NOT NULL PRIMARY KEY)")


_OWNERS = (
    "ALTER TABLE cxr_studies ADD COLUMN owner VARCHAR(128)",
    "ALTER TABLE cxr_studies ADD COLUMN tenant VARCHAR(64)",
    "CREATE INDEX ix_cxr_studies_tenant ON cxr_studies (tenant)",
    """CREATE TABLE cxr_apart (
        id VARCHAR(32) NOT NULL PRIMARY KEY, reason VARCHAR(32) NOT NULL, study_uid VARCHAR(64) NOT NULL,
        sop_instance_uid VARCHAR(64) NOT NULL, patient_id TEXT NOT NULL, transfer_syntax_uid VARCHAR(64) NOT NULL,
        sha256 VARCHAR(64) NOT NULL, bytes BIGINT NOT NULL, file VARCHAR(128) NOT NULL, sender VARCHAR(64) NOT NULL,
        owner VARCHAR(128), tenant VARCHAR(64) NOT NULL, received FLOAT NOT NULL)""",
    *(
        f"CREATE INDEX ix_cxr_apart_{column} ON cxr_apart ({column})"
        for column in ("study_uid", "sop_instance_uid", "patient_id")
    ),
)


def _owners(connection: sa.Connection) -> None:
    for statement in _OWNERS:
        connection.exec_driver_sql(statement)


def _audit_heads(connection: sa.Connection) -> None:
    connection.exec_driver_sql(
        "CREATE TABLE cxr_audit_heads (log VARCHAR(64) NOT NULL PRIMARY KEY, number BIGINT NOT NULL, "
        "hash VARCHAR(64) NOT NULL, updated FLOAT NOT NULL)"
    )


def _kept(connection: sa.Connection) -> None:
    binary = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    connection.exec_driver_sql(
        "CREATE TABLE cxr_kept (id VARCHAR(64) NOT NULL PRIMARY KEY, owner VARCHAR(64) NOT NULL, "
        f"digest VARCHAR(64) NOT NULL, holder VARCHAR(32) NOT NULL, data {binary}, bytes BIGINT NOT NULL, "
        "expires FLOAT NOT NULL)"
    )
    for column in ("expires", "owner"):
        connection.exec_driver_sql(f"CREATE INDEX ix_cxr_kept_{column} ON cxr_kept ({column})")


def _states(connection: sa.Connection) -> None:
    for column in ("character_set VARCHAR(64)", "states JSON"):
        connection.exec_driver_sql(f"ALTER TABLE cxr_instances ADD COLUMN {column}")


def _triage(connection: sa.Connection) -> None:
    # Replicas of the release before go on to insert rows without these.
    for column in ("findings JSON", "triage FLOAT NOT NULL DEFAULT 0.5"):
        connection.exec_driver_sql(f"ALTER TABLE cxr_jobs ADD COLUMN {column}")
    connection.exec_driver_sql("CREATE INDEX cxr_jobs_triage ON cxr_jobs (triage DESC, created DESC, id)")


@dataclass(frozen=True)
class Migration:
    """One step from a version of the schema to the next."""

    name: str
    apply: Callable[[sa.Connection], None]


# The version of a database is the number of these that were applied to it.
MIGRATIONS: tuple[Migration, ...] = (
    Migration("tables of the first release", _first_release),
    Migration("index of held files", _index_held_files),
    Migration("id of the state folder", _state_folder),
    Migration("owners of studies, instances kept apart", _owners),
    Migration("head of the audit log", _audit_heads),
    Migration("workflows of the first release as JSON", rewrite_workflows),
    Migration("answers that are kept for a while", _kept),
    Migration("states of instances", _states),
    Migration("findings of jobs, and their order by priority", _triage),
)


def version(connection: sa.Connection) -> int:
    """The schema's version; 0 for an empty database and for one of the release before versions were recorded."""
    if not sa.inspect(connection).has_table("cxr_schema"):
        return 0
    return int(connection.exec_driver_sql("SELECT COALESCE(MAX(version), 0) FROM cxr_schema").scalar_one())


def pending(connection: sa.Connection) -> Sequence[Migration]:
    """Migrations that are to be applied. Raises CxrError where the schema is newer than this release."""
    found = version(connection)
    if found > len(MIGRATIONS):
        raise CxrError(
            f"The database has schema version {found}, and this release knows versions up to {len(MIGRATIONS)}: start "
            "the newer release, or restore a backup from before it.",
            code="schema_newer",
        )
    return MIGRATIONS[found:]


def one_at_a_time(connection: sa.Connection) -> None:
    """Until the transaction ends, let no other replica past this point."""
    # On SQLite, BEGIN IMMEDIATE is a lock of the whole database already.
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def migrate(engine: sa.Engine) -> list[str]:
    """Bring the schema up to this release in one transaction; returns the names of what was applied.

    Replicas that start together wait for one another. Raises CxrError where the schema is newer, or differs from what
    its version says.
    """
    with engine.begin() as connection:
        one_at_a_time(connection)
        applied = pending(connection)
        first = len(MIGRATIONS) - len(applied) + 1
        if applied:
            connection.exec_driver_sql(
                "CREATE TABLE IF NOT EXISTS cxr_schema (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, "
                "applied TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
            )
        for number, migration in enumerate(applied, start=first):
            migration.apply(connection)
            connection.execute(
                sa.text("INSERT INTO cxr_schema (version, name) VALUES (:version, :name)"),
                {"version": number, "name": migration.name},
            )
        check(connection)
    return [migration.name for migration in applied]


def check(connection: sa.Connection) -> None:
    """Compare the database's tables with this release's. Raises CxrError naming what is missing."""
    inspector = sa.inspect(connection)
    missing = []
    for table in metadata.sorted_tables:
        if not inspector.has_table(table.name):
            missing.append(f"the table {table.name}")
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        missing += [f"the column {table.name}.{column.name}" for column in table.columns if column.name not in there]
    if missing:
        raise CxrError(
            f"The database lacks {', '.join(missing)}: it was changed by hand or restored in part. Restore a whole "
            "backup.",
            code="schema_damaged",
        )
