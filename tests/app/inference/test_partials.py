"""Unfinished drawings."""

import contextlib

import numpy as np
import pytest

from app.inference.partials import PartialBudget, fade, fill, partial_rows


@pytest.mark.parametrize(
    ("kept", "partials", "expected"),
    [(0, 3, [4, 8, 12]), (0, 1, [8]), (0, 0, []), (8, 3, [10, 12, 14]), (15, 3, []), (14, 3, [15]), (0, 2, [5, 11])],
)
def test_looks_are_spread_over_what_is_drawn(kept: int, partials: int, expected: list[int]) -> None:
    assert partial_rows(16, kept, partials) == expected


def test_whole_rows_are_kept_and_the_last_one_stands_for_what_is_missing() -> None:
    assert fill([1, 2, 3, 4, 5], 4, 2) == [1, 2, 3, 4, 3, 4, 3, 4]


def test_what_is_not_drawn_is_darker_and_what_is_drawn_is_as_it_is() -> None:
    shown = fade(np.full((32, 8), 200, np.uint8), 8, 16)
    assert (shown[:16] == 200).all()
    assert shown[16:].max() <= 120
    assert (np.diff(shown[16:, 0].astype(int)) <= 0).all()


def test_looks_are_free_alone_and_take_a_small_share_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("app.inference.partials.time.monotonic", lambda: now)
    budget = PartialBudget()
    with budget.drawing():
        assert all(budget.allows() for _ in range(100))
    for _ in range(200):
        budget.record(0.1)
    spent = 0
    with contextlib.ExitStack() as drawings:
        for _ in range(16):
            drawings.enter_context(budget.drawing())
        for _ in range(1000):
            now += 0.1
            spent += budget.allows()
    assert 0.04 <= spent * 0.1 / 100 <= 0.06
