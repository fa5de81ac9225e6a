"""What a prompt that is scored takes from the prefix cache: nothing that its first scored id needs to be computed."""

import pytest

from tests.support.scheduling import Core, Shape, request

pytestmark = pytest.mark.engine
arguments = pytest.importorskip("app.engine.vllm_arguments", reason="vLLM is not installed", exc_type=ImportError)

PROMPT = list(range(30))


def computed(first: int | None, *, overlapped: bool = False) -> int:
    """How many tokens of a prompt are computed that was in the engine before, by where its scores begin."""
    core = Core(Shape(block_size=4, overlapped=overlapped))
    core.add(request("before", PROMPT, 1))
    while "before" in core.scheduler.requests:
        core.step()
    again = request("again", PROMPT, 1)
    if first is not None:
        again.sampling_params = arguments.scoring_parameters(first)
        again.skip_reading_prefix_cache = again.get_skip_reading_prefix_cache()
    core.add(again)
    return int(core.scheduler.schedule().num_scheduled_tokens["again"])


@pytest.mark.parametrize(
    ("first", "cached"), [(None, 28), (30, 28), (29, 28), (28, 24), (27, 24), (9, 8), (5, 4), (4, 0), (1, 0), (0, 0)]
)
@pytest.mark.parametrize("overlapped", [False, True])
def test_the_cache_is_read_up_to_the_block_that_the_first_score_needs(
    first: int | None, cached: int, overlapped: bool
) -> None:
    assert computed(first, overlapped=overlapped) == len(PROMPT) - cached


def test_a_malformed_place_is_refused_when_the_request_arrives() -> None:
    from app.engine.rows import SCORED_ARG, check

    good = arguments.scoring_parameters(3)
    check(good)
    good.extra_args = {SCORED_ARG: {}}
    with pytest.raises(ValueError, match="cxr_scored needs first"):
        check(good)
