"""`cxr audit`: verification of the audit log, and who saw whose data."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.console import console, errors, fail
from app.cli.operator import heads, note
from app.cli.options import ConfigOption, ServiceStateOption, settings_of
from app.errors import CxrError
from app.security.audit import AuditBroken, Head, audit_file, verify
from app.security.audit.chain import LOG
from app.security.audit.events import DataSubjects, Kind
from app.security.audit.verification import unproven
from app.security.identity import Pseudonyms
from app.security.keys import Keys
from app.settings import Settings

audit_app = typer.Typer(no_args_is_help=True, help="The audit log: who did what, and a check that it was not changed.")

FirstOption = Annotated[
    str | None, typer.Option("--first", help="The first file that is still here, where older ones are kept elsewhere.")
]


@contextmanager
def _log(settings: Settings) -> Iterator[tuple[Path, bytes]]:
    path = audit_file(settings.state_dir)
    if not (settings.state_dir / "secret").exists() or not path.parent.is_dir():
        fail(f"There is no audit log at {path}.", 1)
    try:
        yield path, Pseudonyms.from_state_dir(settings.state_dir).key(LOG)
    except AuditBroken as error:
        fail(f"Broken. {error.detail}.", 1)
    except CxrError as error:
        fail(error.detail, 1)
    except FileNotFoundError:
        fail(f"There is no audit log at {path}.", 1)
    except OSError as error:
        fail(f"The audit log cannot be read: {error.strerror}.", 1)


@audit_app.command("verify")
def verify_(
    state_dir: ServiceStateOption = None,
    config: ConfigOption = None,
    head: Annotated[str | None, typer.Option(help="A hash that was noted before and has to be in the log.")] = None,
    first: FirstOption = None,
) -> None:
    """Check that no event was changed, added between, taken out or cut off.

    What is in the log is compared with the last event that the database notes.
    """
    settings = settings_of(config, state_dir=state_dir)
    with _log(settings) as (path, key):
        noted = [*heads(settings), *([Head(0, head)] if head else [])]
        found = verify(path, key, noted, first)
        note(settings, Kind.AUDIT_READ, "verify the audit log")
    console.print(
        f"Whole: {found.events} events. Note the last hash elsewhere to detect a cut: {found.head.hash}", soft_wrap=True
    )
    if found.holes:
        errors.print(f"It tells of {found.holes} holes: search for `line torn` and `events lost`.", style="yellow")
    if not found.stopped:
        errors.print("The last event is no stop: the service runs, was killed, or a command came after.", style="dim")


@audit_app.command()
def who(
    patient: Annotated[str | None, typer.Option(help="Patient ID: who had to do with this patient's data.")] = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID: who had to do with this study.")] = None,
    key: Annotated[str | None, typer.Option(help="Name or id of an API key: what it did, from where.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the events as they are, a line each.")] = False,
    state_dir: ServiceStateOption = None,
    config: ConfigOption = None,
    first: FirstOption = None,
) -> None:
    """Say who had to do with a patient's or a study's data, or what a key did. Of a log that is broken it shows what is
    there, says so, and ends with status 1.

    The log holds pseudonyms: it answers for an ID that is given, and names none.
    """
    if sum(value is not None for value in (patient, study, key)) != 1:
        fail("Give one of --patient, --study and --key.")
    settings = settings_of(config, state_dir=state_dir)
    names = _key_names(settings)
    with _log(settings) as (path, secret):
        subjects = DataSubjects(Pseudonyms.from_state_dir(settings.state_dir))
        broken = _fault(path, secret, first)
        found = []
        for one in unproven(path):
            if one.get("event") == Kind.KEYS_CHANGED and one.get("name"):
                names.setdefault(str(one["key"]), str(one["name"]))
            if patient is not None:
                wanted = subjects.patient(patient) in one.get("patients", ())
            elif study is not None:
                wanted = subjects.study(study) in one.get("studies", ())
            else:
                identity = str(one.get("who", "")).removeprefix("key:")
                wanted = identity != one.get("who") and key in (identity, names.get(identity))
            if wanted:
                found.append(one)
        subject = "a key" if key is not None else "a study" if study is not None else "a patient"
        uids, patients = [study] if study else [], [patient] if patient else []
        note(settings, Kind.AUDIT_READ, f"who had to do with {subject}", studies=uids, patients=patients)
    _show(found, names, as_json=as_json)
    if broken is not None:
        fail(f"The log is broken, so that nothing of this is proven, and something may be missing. {broken}.", 1)


def _fault(path: Path, key: bytes, first: str | None) -> str | None:
    """What is wrong with the log, in words; None where it is whole."""
    try:
        verify(path, key, (), first)
    except AuditBroken as broken:
        return broken.detail
    return None


def _key_names(settings: Settings) -> dict[str, str]:
    try:
        return {one.id: one.name for one in Keys(settings.keys_file).list()}
    except CxrError:
        return {}


def _show(found: list[dict[str, Any]], names: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            console.print(json.dumps(one), markup=False, soft_wrap=True, highlight=False)
        return
    table = Table("time", "who", "from", "what", "outcome", "studies", "instances")
    for one in found:
        identity = str(one.get("who", "")).removeprefix("key:")
        person = f"{names[identity]} ({one['who']})" if identity in names else str(one.get("who", ""))
        account = f" {one['account']}" if one.get("account") else ""
        studies = str(len(one["studies"])) if "studies" in one else ""
        rest = (str(one.get(name, "")) for name in ("source", "what", "outcome"))
        cells = (str(one.get("time", "")), person + account, *rest, studies, str(one.get("instances", "")))
        table.add_row(*map(escape, cells))
    console.print(table if found else "No event of the log has to do with it.")
