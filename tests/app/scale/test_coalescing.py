"""Deltas that are sent together."""

import asyncio
from collections.abc import AsyncGenerator

from app.engine.protocol import Delta, Place
from app.scale.coalescing import coalesced, joined


class Source:
    """Deltas with a pause before each; whether it was closed."""

    def __init__(self, *deltas: tuple[float, Delta]) -> None:
        self._deltas = deltas
        self.closed = False

    async def generate(self) -> AsyncGenerator[Delta]:
        try:
            for pause, delta in self._deltas:
                await asyncio.sleep(pause)
                yield delta
        finally:
            self.closed = True


async def told(source: Source, seconds: float) -> list[tuple[int, ...]]:
    return [delta.ids async for delta in coalesced(source.generate(), seconds)]


async def test_the_first_and_the_last_come_at_once_and_those_between_together() -> None:
    source = Source(*[(0.0, Delta((number,))) for number in range(9)], (0.0, Delta((9,), "length")))
    assert await told(source, 60.0) == [(0,), tuple(range(1, 10))]


async def test_nothing_is_held_back_for_longer() -> None:
    source = Source((0.0, Delta((0,))), (0.0, Delta((1,))), (0.5, Delta((2,), "stop")))
    deltas = coalesced(source.generate(), 0.05)
    assert [(await anext(deltas)).ids for _ in range(2)] == [(0,), (1,)]
    assert [delta.ids async for delta in deltas] == [(2,)]


async def test_what_an_engine_that_broke_off_has_given_is_given() -> None:
    source = Source((0.0, Delta((0,))), (0.0, Delta((1,))))
    assert await told(source, 60.0) == [(0,), (1,)]


async def test_an_error_is_raised_and_a_consumer_that_leaves_ends_the_engine_s_request() -> None:
    async def broken() -> AsyncGenerator[Delta]:
        yield Delta((0,))
        raise OSError

    try:
        [delta async for delta in coalesced(broken(), 0.01)]
    except OSError:
        pass
    else:
        raise AssertionError
    source = Source((0.0, Delta((0,))), (60.0, Delta((1,))))
    deltas = coalesced(source.generate(), 0.01)
    await anext(deltas)
    await deltas.aclose()
    assert source.closed


def test_two_as_one_hold_what_both_held() -> None:
    place = Place(-0.5, ((1, -0.5),))
    first = Delta((1,), None, 0.25, (-1.0,), (place,))
    assert joined(first, Delta((2,), "stop", None, (), (place,))) == Delta(
        (1, 2), "stop", 0.25, (-1.0,), (place, place)
    )
