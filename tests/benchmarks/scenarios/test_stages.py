"""Parts of a request's time."""

import pytest

from benchmarks.scenarios.stages import parts


def test_the_parts_of_a_request_add_up_to_its_time() -> None:
    timings = {"decode": 30.0, "encode": 60.0, "queue": 5.0, "first_token": 205.0, "generate": 805.0, "total": 900.0}
    found = parts(timings, 910.0)
    assert sum(found.values()) == pytest.approx(910.0)
    assert (found["queue"], found["prompt"], found["tokens"]) == (5.0, 200.0, 600.0)
    assert found["around it"] == pytest.approx(15.0)
    assert found["render"] == 0.0
