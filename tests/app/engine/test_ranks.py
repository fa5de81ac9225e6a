"""Which of several engines takes a request."""

import time

import pytest

from app.engine.ranks import Ranks


def test_a_request_goes_where_the_fewest_are_under_way() -> None:
    ranks = Ranks(3)
    with ranks.taken() as first, ranks.taken() as second, ranks.taken() as third:
        assert {first, second, third} == {0, 1, 2}
        with ranks.taken(), ranks.taken(), ranks.taken(), pytest.raises(RuntimeError), ranks.taken(second):
            raise RuntimeError
    with ranks.taken(0), ranks.taken(1) as other, ranks.taken() as free:
        assert (other, free) == (1, 2)


def test_both_rows_of_a_pair_count() -> None:
    ranks = Ranks(2)
    with ranks.taken(requests=2) as pair, ranks.taken() as one, ranks.taken() as two:
        assert one == two == 1 - pair


def test_of_idle_engines_each_has_its_turn() -> None:
    ranks, seen = Ranks(3), []
    for _ in range(6):
        with ranks.taken() as rank:
            seen.append(rank)
    assert seen == [0, 1, 2, 0, 1, 2]


def test_one_that_gives_nothing_is_silent_while_others_give() -> None:
    ranks = Ranks(2)
    before = time.monotonic()
    assert ranks.silent_since(before) == [0, 1]
    ranks.note(1)
    assert ranks.silent_since(before) == [0]
