"""`cxr backup` and `cxr restore`: all that the service must not lose, in one folder."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail
from app.cli.operator import note
from app.cli.options import ConfigOption, StateOption, settings_of
from app.errors import CxrError
from app.security.audit.events import Kind
from app.store.backup import BackupManifest, back_up, restore
from app.store.database import database_url, opened
from app.store.spool import Spool


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    state_dir: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Back up database, spool, keys and audit, consistently, while the service runs.

    The exit status is 1 where a held file is missing or damaged; the rest is backed up all the same.
    """
    settings = settings_of(config, state_dir=state_dir)
    state = settings.state_dir.resolve()
    if not (state / "spool").is_dir():
        fail(f"There is no state in {state}: the first start of the service makes it.", 1)
    if not settings.keys_file.resolve().is_relative_to(state):
        console.print(f"{settings.keys_file} lies elsewhere and is not backed up.", soft_wrap=True)
    others = [settings.keys_file.resolve(), state / "audit", state / "secret"]
    inside = [path for path in others if path.is_relative_to(state)]
    try:
        with opened(database_url(settings.database_url, state)) as engine:
            spool = Spool(state / "spool", 0)
            made = back_up(engine, spool, inside, state, folder.resolve(), version("llm-cxr-server"))
    except (CxrError, OSError) as error:
        fail(error.detail if isinstance(error, CxrError) else f"The backup failed: {error}", 1)
    note(settings, Kind.BACKED_UP, "back up", files=len(made.files))
    console.print(f"{len(made.files)} files in {folder}.", soft_wrap=True)
    _tell(made)


def restore_(
    folder: Annotated[Path, typer.Argument(help="What `cxr backup` made.", exists=True, file_okay=False)],
    state_dir: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Restore a backup into an empty state folder and an empty database. Nothing is overwritten.

    The exit status is 1 where a held file is missing or damaged; the rest is restored all the same.
    """
    settings = settings_of(config, state_dir=state_dir)
    try:
        made = restore(folder, settings.state_dir, database_url(settings.database_url, settings.state_dir))
    except (CxrError, OSError) as error:
        fail(error.detail if isinstance(error, CxrError) else f"The restore failed: {error}", 1)
    note(settings, Kind.BACKED_UP, "restore a backup", files=len(made.files))
    console.print(
        f"Restored what was held on {made.made:%Y-%m-%d %H:%M} UTC into {settings.state_dir}.", soft_wrap=True
    )
    _tell(made)


def _tell(made: BackupManifest) -> None:
    """Name the held files that are not whole, which ends with status 1."""
    for word, names in (("missing", made.missing), ("damaged", made.damaged)):
        for name in names:
            console.print(f"spool/{name} is {word}: it has to be sent again.", soft_wrap=True)
    if made.missing or made.damaged:
        raise typer.Exit(1)
