"""`cxr`: the command line. This module lists the commands; each one's module holds its arguments and its work."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from app.cli.lazy import LazyGroup, Place


class _Commands(LazyGroup):
    places: ClassVar[Mapping[str, Place]] = {
        "serve": Place("app.cli.serve:serve", "Serve a bundle over HTTP until interrupted."),
        "doctor": Place(
            "app.cli.doctor:doctor",
            "Check what the service would meet here: GPU, disk, bundle, ports, database, keys, destinations.",
        ),
        "demo": Place("app.cli.demo:demo", "Start the service, do its three jobs once, show the results, stop."),
        "backup": Place(
            "app.cli.backup:backup",
            "Back up database, spool, keys and audit, consistently, while the service runs.",
        ),
        "restore": Place(
            "app.cli.backup:restore_",
            "Restore a backup into an empty state folder and an empty database. Nothing is overwritten.",
        ),
        "report": Place("app.cli.query:report", "Print a draft report on a radiograph from a running service."),
        "ask": Place("app.cli.query:ask", "Print answers about a radiograph from a running service."),
        "findings": Place(
            "app.cli.query:findings",
            "Print the findings of a radiograph, with a probability each, from a running service.",
        ),
        "evidence": Place(
            "app.cli.evidence:evidence",
            "Write the map of what a statement depends on in a radiograph: the model's dependence, no finding.",
        ),
        "draw": Place("app.cli.query:draw", "Draw a synthetic radiograph with a running service."),
        "watermark": Place(
            "app.cli.query:watermark",
            "Say whether a running service has drawn a picture, by its watermark and metadata.",
        ),
        "verify": Place(
            "app.cli.bundles:verify", "Check a bundle: checksums, that its parts fit each other, and that they run."
        ),
        "import": Place(
            "app.cli.bundles:import_",
            "Make a bundle of the published LLM-CXR files. An import that is cut off goes on where it stopped.",
        ),
        "train": Place(
            "app.cli.training:train",
            "Train a classifier, the image tokenizer, the language model, or all of them; or the screen, which stands"
            " alone.",
        ),
        "bench": Place(
            "app.cli.bench:bench_command",
            "Measure the service beside its contenders; the same as `python -m benchmarks` in a checkout.",
        ),
        "tune": Place(
            "app.cli.tune:tune",
            "Time the attention kernels of this machine's GPU with a bundle's heads, and keep the fastest.",
        ),
        "calibrate": Place(
            "app.cli.calibration:calibrate",
            "Find out how the bundle's own models see films, and write calibration.json into the bundle, and"
            " findings.json where it declares findings.",
        ),
        "copies": Place(
            "app.cli.copies:copies",
            "Put an index of the training split into the bundle, with the limit that another split's films set.",
        ),
        "keys": Place("app.cli.keys:keys_app", "API keys: make, list, rotate, revoke. A running service sees it."),
        "audit": Place("app.cli.audit:audit_app", "The audit log: who did what, and a check that it was not changed."),
        "db": Place("app.cli.database:database_app", "The database's schema: which version it has, and migrations."),
        "spool": Place("app.cli.spool:spool_app", "The spool's files: those set aside, and whose they are."),
        "studies": Place(
            "app.cli.studies:studies_app", "Held studies: erase one or a patient's, list what is kept apart."
        ),
        "manifest": Place("app.cli.training:manifest_app", "Describe radiographs to train on or to evaluate with."),
        "evaluate": Place(
            "app.cli.evaluation:evaluate_app", "Measure a bundle on a manifest; every command writes JSON."
        ),
    }


app = typer.Typer(cls=_Commands, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"llm-cxr-server {version('llm-cxr-server')}")
        raise typer.Exit


@app.callback()
def _main(
    show: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Serve a language model that reads and draws chest radiographs."""
    import sys

    import structlog

    # Standard output is for what a command is asked for: a key, a report.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def main() -> None:
    """Entry point of the console script. What this machine refuses is a line, not a traceback."""
    try:
        app()
    except Exception as error:
        import sys

        from app.cli.refusals import sentence_of

        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.stderr.write(f"{sentence}\n")
        sys.exit(1)
