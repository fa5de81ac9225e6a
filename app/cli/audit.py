"""`cxr audit`: verification of the audit log."""

from typing import Annotated

import typer

from app.cli.console import console, fail
from app.cli.options import ServiceStateOption, settings_of
from app.security import audit

audit_app = typer.Typer(no_args_is_help=True, help="The audit log: who did what, and a check that it was not changed.")


@audit_app.command()
def verify(
    state_dir: ServiceStateOption = None,
    head: Annotated[str | None, typer.Option(help="A hash that was noted before and has to be in the log.")] = None,
) -> None:
    """Check that no event was changed, added between or taken out."""
    path = audit.audit_file(settings_of(None, state_dir=state_dir).state_dir)
    try:
        found, count, last = head is None, 0, audit.GENESIS
        for record in audit.records(path):
            count, last = count + 1, record["hash"]
            found = found or last == head
    except OSError:
        fail(f"There is no audit log at {path}.", 1)
    except audit.AuditBroken as error:
        fail(f"Broken. {error.detail}.", 1)
    if not found:
        fail("Broken. The hash that was noted is not in the log: its end was cut off or written anew.", 1)
    console.print(f"Whole: {count} events. Note the last hash elsewhere to detect a cut: {last}", soft_wrap=True)
