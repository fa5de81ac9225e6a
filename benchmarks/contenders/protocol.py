"""The protocol between the suite and a contender: one JSON object a line over the contender's stdin and stdout.

The child says `{"ready": seconds}` once its model is loaded, then answers every line of work with a `Done`, or with
`{"error": sentence}` and waits for the next. It ends at the end of its stdin.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any, Self

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass as checked

from benchmarks.contenders.process import Child, ContenderError, end

_CHECKED = ConfigDict(extra="forbid")


@checked(frozen=True, config=_CHECKED)
class Work:
    """Radiographs to draw: prompts as token ids that end with the image opening, and a seed for each.

    `limit` None draws whole images. A number is the most tokens of each image, for a figure of tokens a second (such
    images are not decoded); for an unmasked reference it is the most attempts at each image.
    """

    prompts: list[list[int]]
    seeds: list[int]
    temperature: float = 1.0
    top_p: float = 0.92
    decode: bool = True
    limit: int | None = None

    def __post_init__(self) -> None:
        if not self.prompts or len(self.prompts) != len(self.seeds):
            raise ValueError(f"{len(self.prompts)} prompts and {len(self.seeds)} seeds")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit {self.limit} leaves nothing to do")

    def tokens_of_image(self, whole: int) -> int:
        """Tokens to generate for each image of `whole` tokens. Raises ValueError where a cut image is to be decoded."""
        count = whole if self.limit is None else min(self.limit, whole)
        if self.decode and count != whole:
            raise ValueError(f"an image cut short at {count} of {whole} tokens cannot be decoded")
        return count


@checked(frozen=True, config=_CHECKED)
class Done:
    """The result of a piece of work: wall time in seconds, whole images, generated tokens, attempts at images."""

    seconds: float
    generate_seconds: float
    decode_seconds: float
    images: int
    tokens: int
    attempts: int


Handler = Callable[[Work], Done]
Opened = contextlib.AbstractContextManager[Handler]
Load = Callable[[], Opened]

_WORK = TypeAdapter(Work)
_DONE = TypeAdapter(Done)


def claim_stdout() -> IO[str]:
    """The real stdout as a stream of its own; from here on file descriptor 1, and `print`, write to stderr.

    To be called before anything is imported that may write: vLLM logs to stdout.
    """
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout.flush()
    os.dup2(2, 1)
    return channel


def serve(load: Load, channel: IO[str], lines: IO[str] | None = None) -> None:
    """Load the model, say so on `channel`, do the work that comes in `lines` (None: stdin) until they end."""
    started = time.perf_counter()
    with load() as handler:
        _say(channel, {"ready": time.perf_counter() - started})
        for line in lines or sys.stdin:
            _say(channel, _answer(handler, line))


def _answer(handler: Handler, line: str) -> dict[str, Any]:
    try:
        return asdict(handler(_WORK.validate_json(line)))
    except Exception as error:  # The parent decides what a failed piece of work means; the next one may do.
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def _say(channel: IO[str], message: dict[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


class Contender(Child):
    """The parent's side: a started contender that does work. `load_seconds` is what it says its model took to load."""

    load_seconds: float = 0.0
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """See `Child.start`."""
        started = time.monotonic()
        process = self._process = self._spawn(piped=True)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()
        self.load_seconds = float(self._answer(self._start_timeout)["ready"])
        self.start_seconds = time.monotonic() - started
        return self

    def work(self, work: Work, timeout: float = 3600.0) -> Done:
        """Have it do a piece of work, within `timeout` seconds. Raises ContenderError."""
        if self._process is None or self._process.stdin is None:
            raise ContenderError("the contender is not running")
        try:
            self._process.stdin.write(_WORK.dump_json(work) + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failure("the contender has died") from error
        return _DONE.validate_python(self._answer(timeout))

    def close(self) -> None:
        """See `Child.close`."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        end(process, self._stop_seconds)
        self._reader.join()
        process.stdout.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Hand lines on; an empty one says that there are no more."""
        for line in process.stdout or ():
            self._lines.put(line)
        self._lines.put(b"")

    def _answer(self, timeout: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise self._failure(f"the contender did not answer within {timeout:.0f} s") from None
        if not line:
            raise self._failure("the contender has died")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise self._failure(f"the contender refused: {answer['error']}")
        return answer
