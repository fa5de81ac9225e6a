"""Fields of OpenAI's requests that this service has nothing for: they are taken where they ask for nothing, and refused
by name where they ask for something.
"""

import json
from typing import Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

ANYTHING = object()


def neutral(*values: Any) -> AfterValidator:
    """For a field that may be absent, null or one of `values`, which change nothing; ANYTHING: whatever it is."""

    def check(value: Any) -> Any:
        # Equal is not enough: False is 0.
        if ANYTHING in values or value is None or any(value == one and type(value) is type(one) for one in values):
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and value in [*_numbers(values)]:
            return None
        offered = " or ".join(json.dumps(one) for one in values) or "null"
        words = "is not offered here: leave it out, or send {values}"
        raise PydanticCustomError("not_offered", words, {"values": offered})

    return AfterValidator(check)


def _numbers(values: tuple[Any, ...]) -> list[float]:
    return [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
