"""Exponential backoff: how long to wait before an attempt is repeated."""

_MOST_DOUBLINGS = 16


def backoff_seconds(failures: int, first_seconds: float, most_seconds: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row, counted from 1; the wait doubles with each."""
    doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
    return float(min(first_seconds * 2.0**doublings, most_seconds))
