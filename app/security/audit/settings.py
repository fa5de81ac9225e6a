"""What of the settings differs from the defaults, as the event of a start tells it: no secret, no path, no address."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from app.security.identity import Pseudonyms
from app.settings import Settings

_PLAIN = (bool, int, float)


def changed(settings: Settings, pseudonyms: Pseudonyms) -> list[str]:
    """`name=value` of each that is not at its default; of a text a pseudonym, which tells whether it changed."""
    return [f"{name}={_told(value, pseudonyms)}" for name, value in _differing(settings, "")]


def _differing(group: BaseModel, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from _differing(value, f"{prefix}{name}.")
        elif value != field.get_default(call_default_factory=True):
            yield f"{prefix}{name}", value


def _told(value: Any, pseudonyms: Pseudonyms) -> str:
    if isinstance(value, _PLAIN) or value is None:
        return str(value)
    return pseudonyms(f"setting {value!r}")
