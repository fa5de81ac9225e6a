"""What an operator does by command, as events of the audit log: from which account, of which process."""

import os
import pwd
from collections.abc import Iterable
from typing import Any

from app.cli.console import errors
from app.errors import CxrError
from app.security.audit.chain import LOG, append, audit_file
from app.security.audit.events import DataSubjects, Event, Kind, event
from app.security.audit.export import send_now
from app.security.audit.lines import Head
from app.security.identity import Pseudonyms
from app.settings import Settings
from app.store.private_folder import close


def account() -> str:
    """The account that the process runs under, and who called `sudo` for it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    caller = os.environ.get("SUDO_USER")
    return f"{name} ({caller})" if caller and caller != name else name


def note(
    settings: Settings,
    kind: Kind,
    what: str,
    outcome: str = "ok",
    *,
    studies: Iterable[str] = (),
    patients: Iterable[str] = (),
    **facts: Any,
) -> None:
    """Write an event at once, note the log's head in the database where there is one, and send the event where events
    are sent. Raises OSError where it was not written.
    """
    close(settings.state_dir)
    pseudonyms = Pseudonyms.from_state_dir(settings.state_dir)
    of_data = DataSubjects(pseudonyms).facts(studies, patients)
    one = event(kind, "operator", what, outcome, **of_data, account=account(), pid=os.getpid(), **facts)
    path, key = audit_file(settings.state_dir), pseudonyms.key(LOG)
    head = append(path, [one], key, settings.audit.max_mb * 1_000_000, _known(settings))
    _send(settings, pseudonyms, {**one, "number": head.number, "hash": head.hash})
    try:
        if _has_database(settings):
            _note_head(settings, pseudonyms(LOG), head)
    except Exception as error:  # the event is written; the service notes the head with its next one
        errors.print(f"The audit log's head could not be noted in the database: {type(error).__name__}.", style="dim")


def _send(settings: Settings, pseudonyms: Pseudonyms, one: Event) -> None:
    """Tell the repository, on our own: the service, which tells it of its events, may not run."""
    host = settings.audit.syslog_host
    if host is None:
        return
    try:
        send_now(settings, pseudonyms, [one])
    except (OSError, CxrError) as error:
        reason = error.detail if isinstance(error, CxrError) else type(error).__name__
        errors.print(f"The event is in the audit log, and could not be sent to {host}: {reason}", style="yellow")


def heads(settings: Settings) -> list[Head]:
    """What the database notes of the audit log. Raises CxrError where it does not answer."""
    if not _has_database(settings):
        return []
    # As in _note_head: SQLAlchemy takes half a second to import, and where there is no database yet nothing needs it.
    from app.store.audit_heads import noted_head
    from app.store.database import database_url, opened
    from app.store.tables import audit_heads

    name = Pseudonyms.from_state_dir(settings.state_dir)(LOG)
    with opened(database_url(settings.database_url, settings.state_dir)) as engine, engine.connect() as connection:
        if not engine.dialect.has_table(connection, audit_heads.name):
            return []
        found = noted_head(connection, name)
    return [Head(*found)] if found else []


def _note_head(settings: Settings, log: str, head: Head) -> None:
    from app.store.audit_heads import AuditHeads
    from app.store.database import Database, database_url

    database = Database(database_url(settings.database_url, settings.state_dir))
    try:
        AuditHeads(database, log).note(head.number, head.hash)
    finally:
        database.close()


def _known(settings: Settings) -> list[Head]:
    try:
        return heads(settings)
    except CxrError as error:  # the event is written all the same
        errors.print(f"The noted head of the audit log cannot be read: {error.detail}", style="dim")
        return []


def _has_database(settings: Settings) -> bool:
    """Whether there is one already: a command that only notes an event makes none."""
    return settings.database_url is not None or (settings.state_dir / "cxr.sqlite").exists()
