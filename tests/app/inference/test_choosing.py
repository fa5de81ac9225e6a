"""Of several candidates the one is kept in which the model reads what was asked for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from app.engine import Guidance, Kind
from app.errors import InvalidRequest, RateLimited, WorkerFailed
from app.inference import pipelines
from app.inference.choosing import rank
from app.inference.events import Drawing, Event, Reading, Result, stream_events
from app.inference.generation import Caller, Options, Usage
from app.telemetry.timings import Timings
from models.agreement import agrees
from tests.support.choices import ASKED, BUNDLE, FOUR, Models, Quota

VIRAL, NORMAL, SILENT = "IMPRESSION: Viral pneumonia.", "IMPRESSION: Normal chest.", "The heart is large."
REPORT = len(BUNDLE.prompts.report([0] * 256))


@pytest.fixture
def models() -> Models:
    return Models()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():
            await asyncio.sleep(0.001)


async def test_agreement_counts_before_likelihood(models: Models) -> None:
    await models.read({10: NORMAL, 11: SILENT, 12: VIRAL, 13: NORMAL}, {10: -0.1, 11: -0.2, 12: -9.0, 13: -0.3})
    (drawing,) = await models.draw()
    assert (drawing.seed, drawing.reading) == (12, Reading(VIRAL, True, -9.0))


async def test_likelihood_decides_among_those_that_agree_and_the_lowest_seed_among_equals(models: Models) -> None:
    await models.read({10: VIRAL, 11: VIRAL, 12: VIRAL, 13: NORMAL}, {10: -3.0, 11: -2.0, 12: -2.0, 13: -1.0})
    (drawing,) = await models.draw()
    assert drawing.seed == 11


@pytest.mark.parametrize(
    ("asked", "text", "agree"),
    [("The heart is large.", VIRAL, None), (ASKED, SILENT, None), (ASKED, NORMAL, False)],
    ids=["the request states no condition", "no reading states one", "no reading states it"],
)
async def test_likelihood_alone_decides_where_no_condition_tells_candidates_apart(
    models: Models, asked: str, text: str, agree: bool | None
) -> None:
    await models.read(dict.fromkeys(range(10, 14), text), {12: -1.0})
    (drawing,) = await models.draw(text=asked)
    assert (drawing.seed, drawing.reading) == (12, Reading(text, agree, -1.0))


def test_conditions_agree_or_not_or_are_not_stated() -> None:
    assert agrees(ASKED, VIRAL) is True
    assert agrees(ASKED, NORMAL) is False
    assert (agrees(ASKED, SILENT), agrees(SILENT, VIRAL)) == (None, None)
    best = Reading("", True, -9.0)
    assert rank(best) > rank(Reading("", None, -0.1)) > rank(Reading("", False, -0.2))


async def test_a_candidate_is_read_from_its_pixels_greedily_and_without_the_drawings_stops(models: Models) -> None:
    options = replace(FOUR, best_of=2, temperature=1.5, max_tokens=3, stop=("FINDINGS",))
    models.engine.text = "FINDINGS: Clear. IMPRESSION: Viral pneumonia."
    liked: list[tuple[int, ...]] = []
    models.engine.log_likelihood = lambda prompt: liked.append(prompt) or -1.0  # type: ignore[func-returns-value]
    (drawing,) = await models.draw(options)
    assert drawing.reading is not None
    assert drawing.reading.text == models.engine.text
    readings = [generation for generation in models.engine.generations if generation.kind is Kind.TEXT]
    assert {generation.sampling.temperature for generation in readings} == {0.0}
    expected = {tuple(BUNDLE.prompts.report(await models.read_codes(seed))) for seed in (10, 11)}
    assert {generation.prompt for generation in readings} == expected
    asked = tuple(BUNDLE.vocabulary.encode(ASKED))
    assert set(liked) == {(*prompt, *asked) for prompt in expected}
    assert BUNDLE.prompts.written(ASKED)[: len(asked)] == list(asked)


async def test_the_returned_seed_draws_the_same_alone(models: Models) -> None:
    await models.read({seed: VIRAL if seed in (12, 13) else NORMAL for seed in range(10, 16)}, {12: -1.0, 13: -2.0})
    drawings = await models.draw(replace(FOUR, best_of=3), 2)
    assert [(drawing.seed, drawing.index) for drawing in drawings] == [(12, 0), (13, 1)]
    for drawing in drawings:
        (alone,) = await models.draw(Options(seed=drawing.seed))
        assert (alone.codes, alone.reading) == (drawing.codes, None)
        assert (alone.pixels == drawing.pixels).all()


async def test_one_candidate_is_not_read_back(models: Models) -> None:
    drawings = await models.draw(Options(seed=10, best_of=1), 2)
    assert [(drawing.seed, drawing.reading) for drawing in drawings] == [(10, None), (11, None)]
    assert (models.codec.encoded, {generation.kind for generation in models.engine.generations}) == (0, {Kind.IMAGE})


@pytest.mark.parametrize("guided", [False, True])
async def test_usage_and_quota_count_all_that_was_computed(models: Models, guided: bool) -> None:
    scale, rows = (2.0, 2) if guided else (None, 1)
    quota = Quota(100_000)
    caller = Caller(reserve=quota.reserve)
    drawings = await models.draw(replace(FOUR, best_of=3, guidance_scale=scale, caller=caller), 2)
    words = len(BUNDLE.vocabulary.encode(models.engine.text)) + 1
    asked = len(BUNDLE.vocabulary.encode(ASKED))
    shared = len(BUNDLE.prompts.draw(ASKED)) + (len(BUNDLE.prompts.before_image()) - 1 if guided else 0)
    read, written = 3 * (2 * REPORT + asked), 3 * (rows * 256 + words)
    assert [drawing.usage for drawing in drawings] == [
        Usage(shared + read, 3 * 2 * 256, written),
        Usage(read, 3 * 2 * 256, written),
    ]
    assert quota.used == shared + 2 * (read + written)
    guidance = {generation.guidance for generation in models.engine.generations if generation.kind is Kind.IMAGE}
    assert guidance == {Guidance(tuple(BUNDLE.prompts.before_image()), 2.0) if guided else None}
    assert all(drawing.guidance == (scale or 1.0) for drawing in drawings)


async def test_what_is_kept_is_in_every_candidate(models: Models) -> None:
    kept = tuple(range(64))
    (drawing,) = await pipelines.draw(models.backend, ASKED, FOUR, Timings(), kept=kept)
    assert drawing.codes[:64] == kept
    drawn = [generation for generation in models.engine.generations if generation.kind is Kind.IMAGE]
    assert [generation.prompt[-64:] for generation in drawn] == [tuple(BUNDLE.vocabulary.image_ids(kept))] * 4
    # The kept codes are counted once, with the prompt that all share.
    assert drawing.usage.image_tokens == 64 + 4 * 2 * 256


async def test_nothing_is_drawn_where_the_tokens_do_not_reach_for_reading_it(models: Models) -> None:
    most = BUNDLE.manifest.decoding.report.max_tokens
    asked, shared = len(BUNDLE.vocabulary.encode(ASKED)), len(BUNDLE.prompts.draw(ASKED))
    needed = shared + 2 * (256 + 2 * REPORT + asked + most)
    models.engine.step_seconds = 0.001
    for tokens in (needed, needed - 1):
        quota = Quota(tokens)
        work = models.draw(replace(FOUR, best_of=2, caller=Caller(reserve=quota.reserve)))
        if tokens == needed:
            await work
            assert quota.left > 0
            continue
        models.codec.encoded = 0
        with pytest.raises(RateLimited):
            await work
        await until(lambda: models.engine.running == 0)
        assert (models.codec.encoded, quota.used) == (0, shared)


async def events_of(models: Models, options: Options, number: int) -> list[Event | Result[list[Drawing]]]:
    stream = stream_events(
        lambda emit: pipelines.draw(models.backend, ASKED, options, Timings(), number, partials=3, emit=emit)
    )
    return [event async for event in stream]


async def test_a_stream_has_each_chosen_drawing_and_no_partial_images(models: Models) -> None:
    *events, last = await events_of(models, replace(FOUR, best_of=2), 3)
    assert all(isinstance(event, Drawing) for event in events)
    assert isinstance(last, Result)
    assert sorted(events, key=lambda event: event.index) == last.value
    assert [drawing.index for drawing in last.value] == [0, 1, 2]


@pytest.mark.parametrize("stage", ["drawing", "reading"])
async def test_a_request_that_is_cancelled_frees_all_slots_and_pays_for_what_began(models: Models, stage: str) -> None:
    models.engine.step_seconds = 0.001
    quota = Quota(100_000)
    options = replace(FOUR, guidance_scale=2.0, caller=Caller(reserve=quota.reserve))
    work = asyncio.create_task(models.draw(options))
    if stage == "drawing":
        await until(lambda: models.engine.running == 8)
    else:
        await until(lambda: any(generation.kind is Kind.TEXT for generation in models.engine.generations))
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert models.engine.running == 0
    assert 0 < quota.used < 4 * (2 * 256 + 2 * REPORT + 600)


@pytest.mark.parametrize("part", ["engine", "codec"])
async def test_a_candidate_that_fails_ends_the_request_and_the_others(models: Models, part: str) -> None:
    models.engine.step_seconds = 0.001
    failing = models.engine if part == "engine" else models.codec
    failing.enqueue_failure(WorkerFailed("lost"))
    with pytest.raises(WorkerFailed, match="lost"):
        await models.draw()
    await until(lambda: models.engine.running == 0)


async def test_a_text_that_has_no_room_behind_an_image_is_refused_before_anything_is_drawn(models: Models) -> None:
    models.engine._max_model_len = REPORT + len(BUNDLE.vocabulary.encode(ASKED))
    with pytest.raises(InvalidRequest) as refused:
        await models.draw()
    assert refused.value.code == "prompt_too_long"
    assert not models.engine.generations


async def test_reference_decoding_chooses_among_what_its_attempts_drew(models: Models) -> None:
    models.backend = replace(models.backend, reference_attempts=4)
    numbers = count()
    models.engine.log_likelihood = lambda prompt: float(-next(numbers))
    (drawing,) = await models.draw(Options(seed=5, best_of=2))
    (alone,) = await models.draw(Options(seed=drawing.seed))
    assert alone.codes == drawing.codes
    assert drawing.reading is not None
