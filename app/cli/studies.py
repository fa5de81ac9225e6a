"""`cxr studies`: what is held of a study or patient, removed; what is kept apart, listed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.console import console, fail
from app.cli.operator import note
from app.cli.options import ConfigOption, StateOption, settings_of
from app.errors import CxrError
from app.security.audit.events import Kind
from app.settings import Settings
from app.store.apart import all_apart
from app.store.database import Database, database_url
from app.store.erasure import Erased, Target, studies_of
from app.store.spool import Spool
from app.store.state_folder import claim

studies_app = typer.Typer(no_args_is_help=True, help="Held studies: erase one or a patient's, list what is kept apart.")


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, Spool]]:
    if not (settings.state_dir / "spool").is_dir():
        fail(f"There is no spool in {settings.state_dir}: the first start of the service makes it.", 1)
    try:
        database = Database(database_url(settings.database_url, settings.state_dir))
        try:
            spool = Spool(settings.state_dir / "spool", 0)
            claim(database, spool)
            yield database, spool
        finally:
            database.close()
    except CxrError as error:
        fail(error.detail, 1)


@studies_app.command()
def delete(
    study: Annotated[str | None, typer.Argument(help="Study Instance UID.")] = None,
    patient: Annotated[str | None, typer.Option(help="Patient ID: everything of this patient.")] = None,
    kept_apart: Annotated[
        bool, typer.Option("--apart", help="Of a study: also what is kept apart under its UID, which is another's.")
    ] = False,
    state_dir: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Erase a study, or all that is held of a patient: rows, documents, files, workflows. It cannot be taken back.

    The service may run. Backups are left as they are: what was erased comes back with them.
    """
    if (study is None) == (patient is None):
        fail("Give either a Study Instance UID or --patient ID.")
    if patient is not None and not patient.strip():
        fail("The Patient ID is empty.")
    settings = settings_of(config, state_dir=state_dir)
    target = Target(study=study, patient=None if patient is None else patient.strip(), apart=kept_apart)
    what = "delete a study" if study else "delete a patient"
    with _opened(settings) as (database, spool):
        with database.reading() as connection:
            uids = set(studies_of(connection, target)) | ({study} if study else set())
        asked = [target.patient] if target.patient else []
        # Before anything is gone: a command that is killed cannot tell any more what it was at.
        note(settings, Kind.DELETED, what, "begun", studies=uids, patients=asked)
        erased = _erase(settings, database, spool, target)
        note(settings, Kind.DELETED, what, studies=uids, patients=erased.patients, instances=erased.instances)
    console.print(
        f"Erased: {len(erased.studies)} studies, {erased.instances} instances, {erased.apart} that were kept apart, "
        f"{erased.set_aside} that were set aside.",
        soft_wrap=True,
    )
    if erased.left:
        fail(f"{len(erased.left)} studies are being read or sent, and stay: repeat it when their jobs are over.", 1)
    if erased.unread:
        fail(f"{erased.unread} files in spool/unknown and spool/damaged cannot be read: look at them by hand.", 1)


def _erase(settings: Settings, database: Database, spool: Spool, target: Target) -> Erased:
    # Imported here: DBOS takes long to import.
    from app.imaging.headers import Headers
    from app.jobs.dbos import WorkflowEngine
    from app.jobs.erasure import Eraser

    engine, headers = WorkflowEngine(settings, database), Headers(settings.imaging)
    try:
        engine.connect()
        return asyncio.run(Eraser(database, spool, headers, engine.client).erase(target))
    finally:
        headers.close()
        if engine.client is not None:
            engine.client.destroy()


@studies_app.command()
def apart(state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """List what was taken and kept apart from every study: another tenant's UID, or another patient's image.

    The exit status is 1 where there is something.
    """
    settings = settings_of(config, state_dir=state_dir)
    with _opened(settings) as (database, _), database.reading() as connection:
        rows = all_apart(connection)
        patients = [row.patient_id for row in rows]
        note(
            settings,
            Kind.RESTRICTED,
            "list what is kept apart",
            studies=[row.study_uid for row in rows],
            patients=patients,
        )
    if not rows:
        console.print("Nothing is kept apart.")
        return
    table = Table("file in the spool", "why", "sender", "tenant", "study")
    for row in rows:
        table.add_row(*map(escape, (row.file, row.reason, row.owner or "unknown", row.tenant, row.study_uid)))
    console.print(table)
    raise typer.Exit(1)
