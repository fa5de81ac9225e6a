"""What the JSON columns of the database hold, as types.

A column may hold keys of a newer release or lack those of this one: unknown keys are ignored, missing ones take the
field's default.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self


class Record:
    """Base of the records in JSON columns."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The record that a column holds. Raises TypeError where a field without a default is missing."""
        return cls(**known(cls, value))


def known(kind: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a value that a dataclass has as fields."""
    names = {field.name for field in fields(kind)}
    return {name: item for name, item in value.items() if name in names}


def column_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Records as what their JSON columns hold."""

    def plain(value: Any) -> Any:
        if isinstance(value, Record):
            return asdict(value)  # type: ignore[call-overload]
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return {name: plain(value) for name, value in values.items()}
