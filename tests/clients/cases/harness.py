"""What every script here is given, and how it says what became of its cases: a JSON object, a text where one failed."""

import base64
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

GIVEN = json.loads(sys.argv[1])
# Addresses (that of `ABORTING` has an engine that ends every generation early) and a data URI.
SERVICE, ABORTING, IMAGE, MODEL = GIVEN["service"], GIVEN["aborting"], GIVEN["image"], GIVEN["model"]
PNG = base64.b64decode(IMAGE.partition(",")[2])
REPORT = "The lungs are clear."
DRAWN = "A synthetic radiograph."

SHOWN = {"type": "image_url", "image_url": {"url": IMAGE}}
QUESTION: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Is there pneumonia?"}, SHOWN]}]
REPORTING: list[Any] = [{"role": "user", "content": [SHOWN]}]
TWICE: list[Any] = [{"role": "user", "content": [SHOWN, SHOWN]}]
BARE: list[Any] = [{"role": "user", "content": "Is there pneumonia?"}]
WISH: list[Any] = [{"role": "user", "content": "Draw a chest radiograph"}]
NEXT = {"role": "user", "content": "And effusion?"}

# It changes nothing, and clients send it.
NEUTRAL: dict[str, Any] = {
    "n": 1,
    "stop": None,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "max_tokens": 4096,
    "response_format": {"type": "text"},
    "parallel_tool_calls": True,
    "user": "someone",
    "metadata": {"trace": "1"},
}
SYSTEM = {"role": "system", "content": "Answer in German."}

_cases: dict[str, Callable[[], None]] = {}


def case(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a case."""

    def register(body: Callable[[], None]) -> Callable[[], None]:
        _cases[name] = body
        return body

    return register


def is_png(encoded: str) -> bool:
    """Whether it is a PNG in base64, or a data URI of one."""
    return base64.b64decode(encoded.rpartition(",")[2])[1:4] == b"PNG"


def refused(call: Callable[[], object], kind: type[Exception], **attributes: object) -> str:
    """The words of the error that a call ends with, which has these attributes."""
    try:
        call()
    except kind as error:
        assert {name: getattr(error, name) for name in attributes} == attributes
        return str(error)
    raise AssertionError("It was not refused.")


def broken_off(pieces: Iterable[str], kind: type[Exception], **attributes: object) -> str:
    """The words of the error that a stream ends with after a beginning of the report."""
    text = ""

    def read() -> None:
        nonlocal text
        for piece in pieces:
            text += piece

    words = refused(read, kind, **attributes)
    assert text
    assert REPORT.startswith(text)
    assert text != REPORT
    return words


def run() -> None:
    """Run the cases in order and write what became of them."""
    outcomes = {}
    for name, body in _cases.items():
        try:
            body()
            outcomes[name] = ""
        except Exception:
            outcomes[name] = traceback.format_exc()
    # Clients write to the standard output as well.
    print("\n" + json.dumps(outcomes))
