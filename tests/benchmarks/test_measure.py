"""Medians, ratios and turns."""

import gc

import pytest

from benchmarks.measure import Ratio, Spread, by_round, closed_loop, in_turn, percentile, without_collections


def test_a_spread_is_median_least_and_most() -> None:
    assert Spread.from_values([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    with pytest.raises(ValueError, match="a value"):
        Spread.from_values([])


async def test_contenders_take_turns_that_swap_by_round() -> None:
    order: list[str] = []

    async def run(name: str, number: int) -> float:
        order.append(f"{name}{number}")
        return float(number)

    found = await in_turn({"a": lambda n: run("a", n), "b": lambda n: run("b", n)}, 3)
    assert order == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert found == {"a": [0.0, 1.0, 2.0], "b": [0.0, 1.0, 2.0]}


def test_ratios_are_taken_round_by_round() -> None:
    assert by_round([2.0, 9.0], [1.0, 3.0]) == Spread(2.5, 2.0, 3.0, 2)


@pytest.mark.parametrize(
    ("value", "at_most", "reached"),
    [(1.0, False, "stretch"), (0.92, False, "yes"), (0.8, False, "no"), (0.8, True, "stretch"), (0.95, True, "yes")],
)
def test_a_ratio_says_whether_its_goal_is_reached(value: float, at_most: bool, reached: str) -> None:
    goal, stretch = (0.97, 0.90) if at_most else (0.90, 0.97)
    assert Ratio("x", Spread.from_values([value]), goal, stretch, at_most).reached == reached


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.95)) == (51.0, 100.0, 7.0)


async def test_a_closed_loop_sends_every_request_once() -> None:
    seen: list[int] = []

    async def request(number: int) -> float:
        seen.append(number)
        return 0.5

    _, latencies = await closed_loop(request, 3, 10)
    assert sorted(seen) == list(range(10))
    assert latencies == [0.5] * 10


def test_nothing_is_collected_while_a_client_measures() -> None:
    with without_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
