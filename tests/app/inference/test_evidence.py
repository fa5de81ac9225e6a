"""The interventions of a map: at once, given up together, counted, one map at a time."""

import asyncio
from collections.abc import Callable

import pytest

from app.errors import RateLimited
from app.inference.evidence import Asked, evidence
from app.inference.generation import Caller
from app.telemetry.timings import Timings
from models.evidence import Replacement, commonest
from tests.support.choices import Models, Quota
from tests.support.service import encoded, gradient

STATEMENT = Asked("Focal consolidation.")
INTERVENTIONS = 37


@pytest.fixture
def models() -> Models:
    return Models()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():
            await asyncio.sleep(0.001)


def begun(models: Models, caller: Caller | None = None, brightness: int = 0) -> "asyncio.Task[object]":
    image = encoded(gradient() // 2 + brightness)
    return asyncio.create_task(evidence(models.backend, image, STATEMENT, Timings(), caller or Caller()))  # type: ignore[arg-type]


async def test_all_interventions_are_in_the_engine_at_once_and_given_up_together(models: Models) -> None:
    models.engine.step_seconds = 60.0
    task = begun(models)
    await until(lambda: models.engine.running == INTERVENTIONS)
    task.cancel()
    await until(lambda: models.engine.running == 0)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_map_at_a_time_has_the_engine(models: Models) -> None:
    models.engine.step_seconds = 60.0
    first, second = begun(models), begun(models, brightness=9)
    await until(lambda: models.codec.encoded == 2 and models.engine.running > 0)
    await asyncio.sleep(0.02)
    assert models.engine.running == INTERVENTIONS
    first.cancel()
    await until(lambda: len(models.engine.scored) == 2 * INTERVENTIONS - 2 or models.engine.running == INTERVENTIONS)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await until(lambda: models.engine.running == 0)
    models.engine.step_seconds = 0.0
    await begun(models)


async def test_every_intervention_is_set_aside_before_and_counted(models: Models) -> None:
    quota = Quota(10**6)
    image, found = await begun(models, Caller(reserve=quota.reserve))  # type: ignore[misc]
    assert quota.tokens - quota.left == found.usage.prompt_tokens
    with pytest.raises(RateLimited):
        await begun(models, Caller(reserve=Quota(found.usage.prompt_tokens - 1).reserve))
    assert len(image.codes) == 256


@pytest.mark.parametrize("replacement", ["commonest", "grey", "predicted"])
async def test_every_replacement_stands_in_for_all_codes_of_a_region(models: Models, replacement: Replacement) -> None:
    data = encoded(gradient())
    image, found = await evidence(models.backend, data, STATEMENT, Timings(), Caller(), replacement)
    assert found.replacement == replacement
    offset = models.backend.bundle.vocabulary.image_offset
    last = [token - offset for token in models.engine.scored[-1].prompt if token >= offset]
    changed = {place for place, (one, other) in enumerate(zip(image.codes, last, strict=True)) if one != other}
    assert changed <= {238, 239, 254, 255}
    assert changed
    assert models.codec.encoded == (2 if replacement == "grey" else 1)


async def test_what_the_model_expects_is_an_image_code_or_else_the_commonest(models: Models) -> None:
    offset = models.backend.bundle.vocabulary.image_offset

    async def words(*arguments: object, **named: object) -> list[tuple[int, ...]]:
        return [(3, 4)] * 256

    models.engine.likeliest = words  # type: ignore[method-assign, assignment]
    image, _ = await begun(models)  # type: ignore[misc]
    first = [token - offset for token in models.engine.scored[1].prompt if token >= offset]
    assert {first[place] for place in (0, 1, 16, 17)} == {commonest(image.codes)}


async def test_interventions_are_in_the_prefix_cache_of_their_client(models: Models) -> None:
    await begun(models, Caller(cache_salt="salt", priority=1))
    assert {one.cache_salt for one in models.engine.scored} == {"salt"}
    assert {one.priority for one in models.engine.scored} == {6}
