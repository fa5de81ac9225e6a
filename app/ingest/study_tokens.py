"""The tokens of studies' reports, which count for who sent them: set aside with an instance, settled with a report."""

import threading
from collections import OrderedDict
from collections.abc import Callable

Settle = Callable[[int], None]
Reserve = Callable[[int], Settle]

# Studies that another node works on are never settled here.
_MOST_HELD = 10_000
# Reports that are over before their study is known here; only one that takes no time at all is.
_MOST_EARLY = 1_024


class StudyTokens:
    """What is set aside for the studies that this process has taken in and not yet reported on.

    What an ended process had set aside, or another node has reported on, stays counted in full until the day is over.
    """

    def __init__(self, most: int, more: Callable[[], int] = lambda: 0) -> None:
        """`most` is how many tokens one report can take, its prompt included; `more` what its model takes beside it."""
        self._most = most
        self._more = more
        self._held: OrderedDict[str, Settle] = OrderedDict()
        self._early: OrderedDict[str, int] = OrderedDict()
        self._runs: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def set_aside(self, reserve: Reserve | None) -> Settle | None:
        """The tokens of one report. Raises RateLimited where the sender has too few left."""
        return None if reserve is None else reserve(self._most + self._more())

    def begin(self, job_id: str, run: int) -> None:
        """A job that is over is to run again. What its earlier runs had set aside is given back, and what their
        workflows say of them from now on, on their way out, does not count.
        """
        with self._lock:
            self._early.pop(job_id, None)
            held = self._held.pop(job_id, None)
            self._runs[job_id] = run
            while len(self._runs) > _MOST_HELD:
                self._runs.popitem(last=False)
        if held is not None:
            held(0)

    def hold(self, job_id: str, settle: Settle) -> None:
        """Keep what was set aside until the job's report is there."""
        with self._lock:
            used = self._early.pop(job_id, None)
            if used is None:
                self._held[job_id] = settle
                while len(self._held) > _MOST_HELD:
                    self._held.popitem(last=False)
        if used is not None:
            settle(used)

    def settle(self, job_id: str, used: int, run: int | None = None) -> None:
        """The job has read and written so many tokens, 0 where no report was made; None stands for all runs."""
        with self._lock:
            if run is not None and run < self._runs.get(job_id, 0):
                return
            held = self._held.pop(job_id, None)
            if held is None:
                self._early[job_id] = used
                while len(self._early) > _MOST_EARLY:
                    self._early.popitem(last=False)
        if held is not None:
            held(used)
