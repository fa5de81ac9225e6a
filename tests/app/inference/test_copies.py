"""Drawings that resemble a film of the training: drawn again, refused, reported."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from app.errors import ResemblesTraining
from app.inference import pipelines
from app.inference.comparison import CopyCheck
from app.inference.copies import seed_again
from app.inference.events import Drawing, Event, PartialImage
from app.inference.generation import Options
from app.settings import DrawSettings, EngineSettings, Settings
from app.telemetry.timings import Timings
from models.copies.index import CopyIndex, Nearest
from tests.support.copies import index_of_drawings
from tests.support.service import Service, running

SEED = 3
AGAIN = [seed_again(SEED, attempt) for attempt in range(3)]


@pytest.fixture(scope="module")
def once() -> CopyIndex:
    """An index that holds what is drawn of the seed alone."""
    return index_of_drawings(SEED)


@pytest.fixture(scope="module")
def always() -> CopyIndex:
    """One that holds what is drawn again, too."""
    return index_of_drawings(SEED, *AGAIN)


def settings_of(tmp_path: Path, **draw: object) -> Settings:
    return Settings(state_dir=tmp_path, draw=DrawSettings(**draw))  # type: ignore[arg-type]


async def drawn(service: Service, events: list[Event] | None = None, **options: object) -> list[Drawing]:
    backend = service.app.state.service.lifecycle.backend_when_ready()
    count, partials = options.pop("count", 1), options.pop("partials", 0)
    chosen = Options(seed=SEED, **options)  # type: ignore[arg-type]
    emit = None if events is None else events.append
    return await pipelines.draw(backend, "Normal.", chosen, Timings(), count, partials=partials, emit=emit)  # type: ignore[arg-type]


async def test_a_drawing_that_resembles_a_film_is_drawn_again_with_a_seed_that_draws_it_alone(
    tmp_path: Path, once: CopyIndex
) -> None:
    async with running(settings_of(tmp_path), copies=once) as service:
        (drawing,) = await drawn(service)
        assert drawing.seed == AGAIN[0]
        assert drawing.nearest is not None
        assert drawing.nearest.similarity < drawing.nearest.limit == once.config.limit
        backend = service.app.state.service.lifecycle.backend_when_ready()
        (same,) = await pipelines.draw(backend, "Normal.", Options(seed=AGAIN[0]), Timings())
        assert (same.codes, same.nearest) == (drawing.codes, drawing.nearest)


async def test_usage_counts_what_was_drawn_and_not_given_and_the_prompt_once(tmp_path: Path, once: CopyIndex) -> None:
    async with running(settings_of(tmp_path), copies=once) as service:
        (drawing,) = await drawn(service)
        # What opens the image is not counted.
        prompt = len(service.engine.generations[0].prompt) - 1
        assert (drawing.usage.prompt_tokens, drawing.usage.completion_tokens) == (prompt, 512)


class Foretold:
    """Stands for an index: similarities as they are told."""

    def __init__(self, *similarities: float) -> None:
        self.left = list(similarities)

    def nearest(self, _: object) -> Nearest:
        return Nearest(self.left.pop(0), 0)


async def test_usage_of_reference_decoding_counts_each_attempt_once(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, engine=EngineSettings(decoding="reference", reference_attempts=4))
    async with running(settings) as service:
        backend = service.app.state.service.lifecycle.backend_when_ready()
        check = CopyCheck(Foretold(0.9, 0.8, 0.1), 0.5, 2)  # type: ignore[arg-type]
        (drawing,) = await pipelines.draw(replace(backend, copies=check), "Normal.", Options(seed=SEED), Timings())
        # Of even seeds an image lacks one id.
        written = [258 - (generation.sampling.seed % 2 == 0) for generation in service.engine.generations]
        assert len(written) >= 3
        assert drawing.usage.completion_tokens == sum(written)


async def test_what_resembles_a_film_each_time_is_refused(tmp_path: Path, always: CopyIndex) -> None:
    async with running(settings_of(tmp_path), copies=always) as service:
        with pytest.raises(ResemblesTraining, match="Each of 3 drawings is too similar to a film"):
            await drawn(service)
        assert [generation.sampling.seed for generation in service.engine.generations] == [SEED, *AGAIN[:2]]


@pytest.mark.parametrize(("draw", "options"), [({"copy_redraws": 0}, {}), ({}, {"temperature": 0.0})])
async def test_nothing_is_drawn_again_without_redraws_or_without_chance(
    tmp_path: Path, once: CopyIndex, draw: dict[str, int], options: dict[str, float]
) -> None:
    async with running(settings_of(tmp_path, **draw), copies=once) as service:
        with pytest.raises(ResemblesTraining, match="The drawing is too similar"):
            await drawn(service, **options)
        assert len(service.engine.generations) == 1


async def test_seeds_of_redraws_are_none_of_the_other_drawings(tmp_path: Path, once: CopyIndex) -> None:
    async with running(settings_of(tmp_path), copies=once) as service:
        found = await drawn(service, count=3)
        assert [one.seed for one in found] == [AGAIN[0], SEED + 1, SEED + 2]
        assert [one.index for one in found] == [0, 1, 2]


async def test_only_what_is_given_is_emitted_as_a_drawing(tmp_path: Path, once: CopyIndex) -> None:
    events: list[Event] = []
    async with running(settings_of(tmp_path), copies=once) as service:
        await drawn(service, events, partials=2)
    assert [one.seed for one in events if isinstance(one, Drawing)] == [AGAIN[0]]
    # Unfinished images are those of the first drawing: they are not compared.
    assert {one.seed for one in events if isinstance(one, PartialImage)} == {SEED}


async def test_of_candidates_those_that_resemble_a_film_are_left_out_and_counted(
    tmp_path: Path, once: CopyIndex
) -> None:
    async with running(settings_of(tmp_path), copies=once) as service:
        (alone,) = await drawn(service, best_of=2)
        assert alone.seed == SEED + 1
        assert alone.nearest is not None
        assert alone.nearest.similarity < alone.nearest.limit
        assert alone.reading is not None
        drawings = [one for one in service.engine.generations if one.sampling.max_tokens == 256]
        assert len(drawings) == 2  # candidates are not drawn again
        assert alone.usage.completion_tokens > 512


async def test_candidates_that_all_resemble_films_are_refused(tmp_path: Path) -> None:
    index = index_of_drawings(SEED, SEED + 1)
    async with running(settings_of(tmp_path), copies=index) as service:
        with pytest.raises(ResemblesTraining, match="Each of 2 drawings"):
            await drawn(service, best_of=2)


async def test_an_edit_is_reported_and_given(tmp_path: Path, once: CopyIndex) -> None:
    async with running(settings_of(tmp_path, copy_limit=0.0), copies=once) as service:
        backend = service.app.state.service.lifecycle.backend_when_ready()
        (drawing,) = await pipelines.draw(backend, "Normal.", Options(seed=SEED), Timings(), kept=[7] * 64)
        assert drawing.seed == SEED
        assert drawing.nearest is not None
        assert drawing.nearest.similarity > drawing.nearest.limit


async def test_a_bundle_without_an_index_compares_nothing(tmp_path: Path) -> None:
    async with running(settings_of(tmp_path, copy_limit=0.0)) as service:
        (drawing,) = await drawn(service)
        assert (drawing.seed, drawing.nearest) == (SEED, None)


@pytest.mark.parametrize(("limit", "expected"), [(None, "own"), (0.5, 0.5), (1.0, 1.0), ("off", None)])
def test_the_setting_takes_the_place_of_the_bundles_limit(once: CopyIndex, limit: object, expected: object) -> None:
    check = CopyCheck.from_settings(once, DrawSettings(copy_limit=limit))  # type: ignore[arg-type]
    assert (check and check.limit) == (once.config.limit if expected == "own" else expected)


async def test_a_limit_of_one_reports_alone(tmp_path: Path, once: CopyIndex) -> None:
    async with running(settings_of(tmp_path, copy_limit=1.0), copies=once) as service:
        (drawing,) = await drawn(service)
        assert drawing.seed == SEED
        assert drawing.nearest is not None
        assert drawing.nearest.row == 0


def test_a_limit_for_a_bundle_without_an_index_is_warned_about() -> None:
    with capture_logs() as lines:
        assert CopyCheck.from_settings(None, DrawSettings(copy_limit=0.9)) is None
    assert [line["event"] for line in lines] == ["drawings are not compared"]
    with capture_logs() as lines:
        assert CopyCheck.from_settings(None, DrawSettings()) is None
    assert lines == []


@pytest.mark.parametrize("limit", [1.1, -0.1, "no", float("nan")])
def test_a_limit_that_makes_no_sense_is_refused(limit: object) -> None:
    with pytest.raises(ValidationError):
        DrawSettings(copy_limit=limit)  # type: ignore[arg-type]
