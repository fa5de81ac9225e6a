"""Commands whose modules are imported when they run: `cxr --help` imports none of them."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class Place:
    """Where a command is: a function, or a Typer of commands, as `module:name`; and what the list says of it."""

    target: str
    help: str

    def load(self, name: str) -> Any:
        """The command, by the name that it has here."""
        module, attribute = self.target.split(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(name)(found)
            found = alone
        command = typer.main.get_command(found)
        command.name = name
        return command


class LazyGroup(TyperGroup):
    """A group that lists the commands of `places`, and imports the one that is called."""

    places: ClassVar[Mapping[str, Place]]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for name, place in self.places.items():
            self.commands[name] = TyperCommand(name, help=place.help, short_help=place.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that the first of `args` names, imported, and the other arguments."""
        name, command, others = super().resolve_command(ctx, args)
        if name is not None and name in self.places:
            command = self.places[name].load(name)
        return name, command, others
