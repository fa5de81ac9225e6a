"""Events of clients that nobody knows: many of one second become one a source."""

import threading
from collections.abc import Callable

from app.security.audit.events import Event

_SECONDS = 1.0
# Sources that are told apart in one second; what comes from more is counted under one name.
_MOST_SOURCES = 64
_OTHERS = "others"


class Refusals:
    """Gathers refusals for a second, then hands one event on for each source and outcome."""

    def __init__(self, hand_on: Callable[[Event], None]) -> None:
        self._hand_on = hand_on
        self._gathered: dict[tuple[str, str], tuple[Event, int]] = {}
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def add(self, source: str, refusal: Event) -> None:
        """Gather a refusal of a client at this address."""
        with self._lock:
            key = (source, refusal["outcome"])
            if key not in self._gathered and len(self._gathered) >= _MOST_SOURCES:
                key = (_OTHERS, refusal["outcome"])
                refusal = {**refusal, "source": _OTHERS}
            first, count = self._gathered.get(key, (refusal, 0))
            self._gathered[key] = (first, count + 1)
            if self._timer is None:
                self._timer = threading.Timer(_SECONDS, self._flush)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Hand on what was gathered; what comes later is gathered anew."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            gathered, self._gathered, self._timer = self._gathered, {}, None
        for first, count in gathered.values():
            # Which path the others asked for is in no line: it is the client's own text.
            self._hand_on(first if count == 1 else {**first, "what": "refused", "requests": count})
