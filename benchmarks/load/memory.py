"""Private memory of a process and its descendants under load, and its slope."""

import statistics
import threading
import time
from typing import Any

import psutil

# The engine's allocator reaches its final size, which random coincidences of prompts decide, within ten minutes after
# the heaviest load, within 25 without it.
WARM_MINUTES = 10


class Memory:
    """Private memory of a process and all below it, sampled each second."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.samples: list[tuple[float, dict[str, float]]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        started = time.monotonic()
        while not self._over.wait(1.0):
            held: dict[str, float] = {}
            for process in [self._process, *self._process.children(recursive=True)]:
                try:
                    name, private = process.name(), process.memory_full_info().uss / 1e6
                except psutil.Error:
                    continue
                held[name] = held.get(name, 0.0) + private
            self.samples.append((time.monotonic() - started, held))

    def stop(self) -> dict[str, Any]:
        """MB in the first and the last minute after the warm-up, and the slope of the minutes' means in MB a minute
        with its standard error: requests under way vary the memory by tens of megabytes within a minute.
        """
        self._over.set()
        self._thread.join()
        minutes: dict[int, list[dict[str, float]]] = {}
        for at, held in self.samples:
            minutes.setdefault(int(at // 60), []).append(held)
        # The last minute is cut off; a short run has to do with what it has.
        numbers = sorted(minutes)[min(WARM_MINUTES, max(0, len(minutes) - 4)) : -1]
        means = [statistics.fmean(sum(held.values()) for held in minutes[number]) for number in numbers]
        names = sorted({name for number in numbers for held in minutes[number] for name in held})
        slope, intercept = statistics.linear_regression(numbers, means)
        squares = sum((mean - slope * number - intercept) ** 2 for number, mean in zip(numbers, means, strict=True))
        spread = sum((number - statistics.fmean(numbers)) ** 2 for number in numbers)
        error = (squares / max(1, len(numbers) - 2) / spread) ** 0.5
        return {
            "warm_mb": round(means[0]),
            "end_mb": round(means[-1]),
            "mb_per_minute": round(slope, 2),
            "standard_error": round(error, 2),
            "minutes": len(numbers),
            "by_process": {
                name: [round(statistics.fmean(held.get(name, 0.0) for held in minutes[n]), 1) for n in numbers]
                for name in names
            },
        }
