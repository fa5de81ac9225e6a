"""A report and its samples: one image, one prompt, seeds that count up, and what they cost."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from app.errors import RateLimited, WorkerFailed
from app.inference import pipelines
from app.inference.backend import Backend
from app.inference.doubt import doubted_report
from app.inference.events import Event
from app.inference.generation import Caller, Options
from tests.support.service import Service

CODES = [7] * 256


def backend_of(service: Service) -> Backend:
    return service.app.state.service.lifecycle.backend_when_ready()  # type: ignore[no-any-return]


async def test_the_report_is_what_it_is_without_samples(service: Service) -> None:
    options, backend = Options(temperature=0.3, top_p=0.8, max_tokens=40, seed=5), backend_of(service)
    service.engine.generations.clear()
    alone = await pipelines.report_on(backend, CODES, options)
    text, _ = await doubted_report(backend, CODES, 3, options)
    before, report, *samples = service.engine.generations
    assert replace(text, usage=alone.usage) == alone
    assert report.sampling == before.sampling
    assert {one.prompt for one in (report, *samples)} == {before.prompt}
    assert [one.sampling.seed for one in samples] == [6, 7, 8]
    assert {(one.sampling.temperature, one.sampling.top_p, one.sampling.max_tokens) for one in samples} == {
        (1.0, 1.0, 40)
    }


async def test_without_a_seed_the_samples_follow_the_one_that_was_drawn(service: Service) -> None:
    service.engine.generations.clear()
    text, _ = await doubted_report(backend_of(service), CODES, 2, Options())
    seeds = [one.sampling.seed for one in service.engine.generations]
    assert seeds == [(text.seed + index) % 2**31 for index in range(3)]


async def test_support_is_the_share_of_the_samples_and_usage_is_all_of_theirs(service: Service) -> None:
    texts = itertools.chain(["Bacterial pneumonia."] * 4, ["Viral pneumonia."])
    service.engine.write = lambda prompt: next(texts)
    alone = len(service.bundle.prompts.report(CODES))
    text, agreement = await doubted_report(backend_of(service), CODES, 4, Options())
    assert [sentence.support for sentence in agreement.sentences] == [0.75]
    assert (text.usage.prompt_tokens, text.usage.image_tokens) == (5 * alone, 5 * 256)
    written = [len(service.bundle.vocabulary.encode(one)) + 1 for one in ("Bacterial pneumonia.", "Viral pneumonia.")]
    assert text.usage.completion_tokens == 4 * written[0] + written[1]


async def test_all_run_at_once_and_only_the_report_is_emitted(service: Service) -> None:
    service.engine.step_seconds = 0.05
    events: list[Event] = []
    task = asyncio.create_task(doubted_report(backend_of(service), CODES, 8, Options(), emit=events.append))
    async with asyncio.timeout(10):
        while service.engine.running < 9:
            await asyncio.sleep(0.005)
    await task
    assert "".join(event.text for event in events) == "The lungs are clear."  # type: ignore[union-attr]


async def test_a_sample_that_fails_ends_the_others(service: Service) -> None:
    service.engine.step_seconds = 0.2
    service.engine.enqueue_failure(WorkerFailed("no"))
    with pytest.raises(WorkerFailed):
        await doubted_report(backend_of(service), CODES, 3, Options())
    async with asyncio.timeout(10):
        while service.engine.running:
            await asyncio.sleep(0.005)


async def test_the_quota_counts_every_sample(service: Service) -> None:
    taken: list[int] = []

    def reserve(tokens: int):  # type: ignore[no-untyped-def]
        if len(taken) == 3:
            raise RateLimited("no tokens are left", retry_after=1)
        taken.append(tokens)
        return lambda used: None

    with pytest.raises(RateLimited):
        await doubted_report(backend_of(service), CODES, 3, Options(caller=Caller(reserve=reserve)))
    assert len(taken) == 3
