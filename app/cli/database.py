"""`cxr db`: the schema of the service's database."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import typer

from app.cli.console import console, fail
from app.cli.options import ConfigOption, StateOption, settings_of
from app.errors import CxrError
from app.settings import Settings
from app.store.database import database_url, opened
from app.store.migrations import MIGRATIONS, check, migrate, pending, version

database_app = typer.Typer(no_args_is_help=True, help="The database's schema: which version it has, and migrations.")


@contextmanager
def _engine(settings: Settings) -> Iterator[sa.Engine]:
    """The configured database; what is wrong with it ends the command in one sentence."""
    if settings.database_url is None and not (settings.state_dir / "cxr.sqlite").exists():
        fail(f"There is no database in {settings.state_dir} yet: the first start of the service makes it.", 1)
    try:
        with opened(database_url(settings.database_url, settings.state_dir)) as engine:
            yield engine
    except CxrError as error:
        fail(error.detail, 1)


@database_app.command("status")
def status(state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Show the schema's version and what is to be migrated. Changes nothing; the exit status is 1 where it is not
    this release's.
    """
    with _engine(settings_of(config, state_dir=state_dir)) as engine, engine.connect() as connection:
        waiting = pending(connection)
        console.print(f"Schema version {version(connection)}; this release has {len(MIGRATIONS)}.")
        for migration in waiting:
            console.print(f"To be applied: {migration.name}")
        if waiting:
            raise typer.Exit(1)
        check(connection)


@database_app.command("migrate")
def migrate_(state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Bring the schema up to this release, in one transaction. The service does the same when it starts."""
    with _engine(settings_of(config, state_dir=state_dir)) as engine:
        applied = migrate(engine)
    for name in applied:
        console.print(f"Applied: {name}")
    console.print(f"The schema has version {len(MIGRATIONS)}.")
