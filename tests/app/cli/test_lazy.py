"""Commands are imported when they run, and listed as they are."""

import subprocess
import sys
from typing import Any

import pytest
import typer

from app.cli import _Commands, app

NAMES = list(_Commands.places)
# Each takes seconds to import, and nothing that prints help needs it.
HEAVY = {"torch", "vllm", "transformers", "numpy", "pydicom", "sqlalchemy", "fastapi", "pydantic", "httpx", "structlog"}
MODELS = {"torch", "vllm", "transformers", "fastapi", "uvicorn", "dbos"}


def imported(*arguments: str) -> set[str]:
    """What a command line imports, by the interpreter's own account of it."""
    command = [sys.executable, "-X", "importtime", "-m", "app.cli", *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stderr.splitlines()
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines if line.startswith("import time:")}


def first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


@pytest.mark.parametrize("name", NAMES)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    place = _Commands.places[name]
    command = place.load(name)
    assert (command.name, first_paragraph(command.help)) == (name, place.help)


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("--version",), ()])
def test_what_only_prints_imports_no_command(arguments: tuple[str, ...]) -> None:
    assert not imported(*arguments) & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "list", "--help"),
        ("keys", "make", "--help"),
        ("manifest", "make", "--help"),
        ("train", "--help"),
        ("evaluate", "--help"),
        ("report", "--help"),
        ("bench", "--help"),
        ("serve", "--help"),
        ("doctor", "--help"),
    ],
)
def test_help_of_a_command_needs_no_model(arguments: tuple[str, ...]) -> None:
    assert not imported(*arguments) & MODELS


@pytest.mark.parametrize("arguments", [("keys", "list", "--help"), ("keys", "make", "--help"), ("manifest", "--help")])
def test_a_command_without_a_database_imports_none(arguments: tuple[str, ...]) -> None:
    assert "sqlalchemy" not in imported(*arguments)


def test_a_call_loads_the_command_and_only_that() -> None:
    group: Any = typer.main.get_command(app)
    context = group.make_context("cxr", ["db", "--help"], resilient_parsing=True)
    name, command, others = group.resolve_command(context, ["db", "migrate"])
    assert (name, others) == ("db", ["migrate"])
    assert "migrate" in command.commands
