"""How likely ids were, out of what vLLM tells."""

from dataclasses import dataclass

import pytest

from app.engine.likelihoods import first_place, places
from app.engine.protocol import Place
from app.errors import WorkerFailed


@dataclass
class Told:
    logprob: float


FIRST, SECOND = {7: Told(-0.5), 3: Told(-2.0), 9: Told(-1.0)}, {4: Told(-3.0), 5: Told(-0.1)}


def test_each_place_has_its_id_and_the_likeliest_first() -> None:
    assert places([FIRST, SECOND], [3, 4], 2) == (
        Place(-2.0, ((7, -0.5), (9, -1.0))),
        Place(-3.0, ((5, -0.1), (4, -3.0))),
    )
    assert places([FIRST], [3], 0) == (Place(-2.0, ()),)
    assert places(None, [], 2) == ()


@pytest.mark.parametrize(("told", "ids"), [(None, [3]), ([FIRST], [3, 4]), ([FIRST, SECOND], [3]), ([FIRST], [4])])
def test_what_the_engine_did_not_tell_is_an_error(told: list[dict[int, Told]] | None, ids: list[int]) -> None:
    with pytest.raises(WorkerFailed):
        places(told, ids, 2)


def test_the_first_place_is_that_of_the_ids_that_are_asked_for() -> None:
    assert first_place([FIRST, SECOND], [9, 7]) == (-1.0, -0.5)
    assert first_place(None, []) == ()
    with pytest.raises(WorkerFailed):
        first_place(None, [9])
