"""`cxr`: the command line. This module puts the commands together; each group's module holds arguments and work."""

import sys
from importlib.metadata import version
from typing import Annotated

import structlog
import typer

from app.cli import (
    audit,
    backup,
    bench,
    bundles,
    calibration,
    copies,
    database,
    demo,
    doctor,
    evaluation,
    evidence,
    keys,
    query,
    serve,
    spool,
    studies,
    training,
)
from app.cli.console import console

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(serve.serve)
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(backup.backup)
app.command("restore")(backup.restore_)
app.command()(query.report)
app.command()(query.ask)
app.command()(query.findings)
app.command()(evidence.evidence)
app.command()(query.draw)
app.command()(query.watermark)
app.command()(bundles.verify)
app.command("import")(bundles.import_)
app.command()(training.train)
app.command(**bench.OPTIONS)(bench.bench)
app.command()(calibration.calibrate)
app.command()(copies.copies)
app.add_typer(keys.keys_app, name="keys")
app.add_typer(audit.audit_app, name="audit")
app.add_typer(database.database_app, name="db")
app.add_typer(spool.spool_app, name="spool")
app.add_typer(studies.studies_app, name="studies")
app.add_typer(training.manifest_app, name="manifest")
app.add_typer(evaluation.evaluate_app, name="evaluate")


def _print_version(asked: bool) -> None:
    if asked:
        console.print(f"llm-cxr-server {version('llm-cxr-server')}", markup=False)
        raise typer.Exit


@app.callback()
def _main(
    show: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Serve a language model that reads and draws chest radiographs."""
    # Standard output is for what a command is asked for: a key, a report.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def main() -> None:
    """Entry point of the console script."""
    app()
