"""How DBOS keeps what it is given: as JSON of plain types, under its own name for JSON, which every release reads."""

import json
from typing import Any

from dbos._serialization import DBOSPortableJSONSerializer

from app.errors import CxrError
from app.telemetry.error_names import database_code, named


class PlainJson(DBOSPortableJSONSerializer):  # type: ignore[misc]
    """Writes and reads texts, numbers, lists and dictionaries, and nothing else.

    DBOS's own turns dates and sets into JSON that does not say what they were.
    """

    def serialize(self, value: Any) -> str:
        """JSON in ASCII. Raises TypeError for any other type."""
        return json.dumps(_plain(value), separators=(",", ":"))

    def deserialize(self, text: str | None) -> Any:
        """What the JSON says. Raises ValueError where it is none."""
        if text is None:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            # Without what the row holds.
            raise ValueError("A row that is no JSON.") from None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} is nothing that a workflow may keep")


def error_as_data(error: BaseException) -> dict[str, Any]:
    """What is kept of an error that ended a workflow. Its message may quote a value, so only ours is kept.

    DBOS makes its PortableWorkflowError of it again, never a class that a row names.
    """
    ours = isinstance(error, CxrError)
    return {
        "name": type(error).__name__,
        "message": error.detail if ours else named(error),  # type: ignore[attr-defined]
        "code": error.code if ours else database_code(error),  # type: ignore[attr-defined]
        "data": None,
    }


PLAIN_JSON = PlainJson()
