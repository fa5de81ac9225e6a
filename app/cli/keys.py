"""`cxr keys`: API keys, for an operator."""

import datetime
import re
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.console import console, errors, fail
from app.cli.operator import note
from app.cli.options import ServiceStateOption, settings_of
from app.errors import CxrError
from app.security.audit.events import Kind
from app.security.identity import Scope, is_tenant
from app.security.keys import Keys
from app.settings import DEFAULT_TENANT, Settings
from app.store.private_folder import close

keys_app = typer.Typer(no_args_is_help=True, help="API keys: make, list, rotate, revoke. A running service sees it.")

FileOption = Annotated[Path | None, typer.Option("--keys-file", help="Unset: keys.json in the state folder.")]
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}


def _keys(state_dir: Path | None, keys_file: Path | None) -> tuple[Keys, Settings]:
    settings = settings_of(None, state_dir=state_dir)
    close(settings.state_dir)
    return Keys(keys_file or settings.keys_file), settings


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([mhd])", text)
    if found is None:
        fail(f"{text}: give a time such as 30m, 12h or 90d.")
    return int(found.group(1)) * _UNITS[found.group(2)]


def _show(token: str) -> None:
    console.print(token, markup=False, soft_wrap=True)
    errors.print("It is shown this once; the file holds only its hash.", style="dim")


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="May be repeated.")],
    expires: Annotated[str | None, typer.Option(help="Such as 90d; unset: never.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    max_requests: Annotated[int | None, typer.Option(min=1, help="Under way at once.")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1)] = None,
    tenant: Annotated[str, typer.Option(help="Whose studies it sees and sends; '*': it sees all.")] = DEFAULT_TENANT,
    keys_file: FileOption = None,
    state_dir: ServiceStateOption = None,
) -> None:
    """Make a key and print it, once."""
    keys, settings = _keys(state_dir, keys_file)
    ends = None if expires is None else time.time() + _seconds(expires)
    if not is_tenant(tenant):
        fail(f"{tenant!r} is no tenant: give letters, digits, `.`, `_` and `-`, or '*'.")
    token = keys.create(
        name,
        tuple(dict.fromkeys(scope)),
        ends,
        tenant,
        requests_per_minute=requests_per_minute,
        max_requests=max_requests,
        tokens_per_day=tokens_per_day,
    )
    note(settings, Kind.KEYS_CHANGED, "create key", key=token.split("_")[1], name=name)
    _show(token)


@keys_app.command("list")
def list_(keys_file: FileOption = None, state_dir: ServiceStateOption = None) -> None:
    """Show the keys."""
    keys, settings = _keys(state_dir, keys_file)
    note(settings, Kind.KEYS_LISTED, "list keys")
    table = Table("id", "name", "scopes", "tenant", "created", "expires")
    try:
        held = keys.list()
    except CxrError as error:
        fail(error.detail)
    for key in held:
        expires = "never" if key.expires is None else _day(key.expires)
        if key.has_expired(time.time()):
            expires = f"[red]{expires}[/]"
        table.add_row(key.id, escape(key.name), ", ".join(key.scopes), escape(key.tenant), _day(key.created), expires)
    console.print(table)


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")


@keys_app.command()
def rotate(
    identity: Annotated[str, typer.Argument(metavar="ID")],
    overlap: Annotated[str, typer.Option(help="How long the old one stays valid.")] = "24h",
    keys_file: FileOption = None,
    state_dir: ServiceStateOption = None,
) -> None:
    """Make a new key like an old one, which ends after the overlap."""
    keys, settings = _keys(state_dir, keys_file)
    try:
        token = keys.rotate(identity, _seconds(overlap))
    except CxrError as error:
        fail(error.detail, 1)
    note(settings, Kind.KEYS_CHANGED, "rotate key", key=identity, successor=token.split("_")[1])
    _show(token)


@keys_app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID")],
    keys_file: FileOption = None,
    state_dir: ServiceStateOption = None,
) -> None:
    """Remove a key; the running service refuses it within a second."""
    keys, settings = _keys(state_dir, keys_file)
    try:
        keys.revoke(identity)
    except CxrError as error:
        fail(error.detail, 1)
    note(settings, Kind.KEYS_CHANGED, "revoke key", key=identity)
    console.print(f"{identity} is revoked.")
