"""`cxr spool`: files of the state folder that the database does not know, and which database the folder belongs to."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from app.cli.console import console, fail
from app.cli.options import ConfigOption, StateOption, settings_of
from app.errors import CxrError
from app.settings import Settings
from app.store.database import Database, database_url, opened
from app.store.recording import held_files
from app.store.spool import Spool
from app.store.state_folder import bind, unnamed

spool_app = typer.Typer(no_args_is_help=True, help="The spool's files: those set aside, and whose they are.")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except CxrError as error:
        fail(error.detail, 1)


def _spool(settings: Settings) -> Spool:
    folder = settings.state_dir / "spool"
    if not folder.is_dir():
        fail(f"There is no spool in {settings.state_dir}: the first start of the service makes it.", 1)
    return Spool(folder, settings.limits.min_free_mb)


@spool_app.command("status")
def status(state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Count the files. The exit status is 1 where files were set aside, or are to be: no row of the database names them
    and they are older than ten minutes.
    """
    settings = settings_of(config, state_dir=state_dir)
    spool = _spool(settings)
    with _refusals():
        old, young = unnamed(spool, lambda: _held(settings))
    unknown = spool.unknown_names()
    console.print(f"{len(spool.names())} files in {spool.folder}, {len(unknown)} set aside.", soft_wrap=True)
    if old or young:
        counts = f"{len(old)} for more than ten minutes, {len(young)} for less: those may be under way"
        console.print(f"{len(old) + len(young)} that the database does not know, {counts}.", soft_wrap=True)
    if old:
        console.print("The service sets the former aside within two minutes, or at its next start.", soft_wrap=True)
    if unknown:
        console.print("`cxr spool adopt` takes in what was set aside; delete what nobody needs by hand.")
    if old or unknown:
        raise typer.Exit(1)


def _held(settings: Settings) -> set[str]:
    """The files that rows name; none where there is no database yet."""
    if settings.database_url is None and not (settings.state_dir / "cxr.sqlite").exists():
        return set()
    with opened(database_url(settings.database_url, settings.state_dir)) as engine, engine.connect() as connection:
        return held_files(connection.execution_options(read_only=True))


@spool_app.command("adopt")
def adopt_(state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Take in what was set aside (`spool/unknown`), as if it was sent anew. What is refused stays there.

    The service may run. The exit status is 1 where a file was refused.
    """
    # Imported here: DBOS takes long to import.
    from app.jobs.adoption import adopt

    settings = settings_of(config, state_dir=state_dir)
    _spool(settings)
    outcomes: Counter[str] = Counter()
    with _refusals():
        for name, receipt in adopt(settings):
            outcomes[receipt.outcome] += 1
            if receipt.failure is not None:
                console.print(f"{name}: {receipt.detail}", markup=False, soft_wrap=True)
    refused = outcomes.total() - outcomes["stored"]
    console.print(f"{outcomes['stored']} taken in, {refused} refused.")
    if refused:
        raise typer.Exit(1)


@spool_app.command("bind")
def bind_(state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Let the configured database and state folder belong together from now on, whatever they belonged to.

    The service then starts with them; files that the database does not know are set aside.
    """
    settings = settings_of(config, state_dir=state_dir)
    spool = _spool(settings)
    with _refusals():
        database = Database(database_url(settings.database_url, settings.state_dir))
        identity = bind(database, spool)
        database.close()
    console.print(f"The database and {spool.folder} belong together now: {identity[:8]}.", soft_wrap=True)
