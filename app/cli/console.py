"""What the command line prints with, and how it ends on an error."""

from typing import NoReturn

import typer
from rich.console import Console

USAGE_ERROR = 2
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def fail(message: str, status: int = USAGE_ERROR) -> NoReturn:
    """Print `message` in red on standard error and exit with `status`."""
    errors.print(message, style="red", soft_wrap=True, markup=False)
    raise typer.Exit(status)
