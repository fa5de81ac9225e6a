"""How near drawings come to the films of the training, as `cxr evaluate drawings` tells it."""

import numpy as np

from models.evaluation.copies import resemblance
from tests.support.copies import films, index_of


def test_the_share_above_the_limit_is_that_of_repeated_films() -> None:
    known = films(40)
    drawn = np.concatenate([known[:3], films(9, 7)])
    found = resemblance(index_of(known), drawn, films(10, 8))
    assert found["above_limit"] == {"drawn": 0.25, "held_out": 0.0}
    assert found["quantiles"]["drawn"]["1.0"] > found["limit"] > found["quantiles"]["held_out"]["1.0"]
    assert found["films"] == 40
