"""`cxr`: the command line. This module puts the commands together; each group's module holds arguments and work."""

import typer

from app.cli import audit, bench, bundles, database, demo, doctor, evaluation, keys, query, serve, training

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Serve a language model that reads and draws chest radiographs."
)
app.command()(serve.serve)
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(query.report)
app.command()(query.ask)
app.command()(query.draw)
app.command()(bundles.verify)
app.command("import")(bundles.import_)
app.command()(training.train)
app.command(**bench.OPTIONS)(bench.bench)
app.add_typer(keys.keys_app, name="keys")
app.add_typer(audit.audit_app, name="audit")
app.add_typer(database.database_app, name="db")
app.add_typer(training.manifest_app, name="manifest")
app.add_typer(evaluation.evaluate_app, name="evaluate")


def main() -> None:
    """Entry point of the console script."""
    app()
