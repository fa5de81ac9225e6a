"""Cancelled means: nothing further is generated, written or delivered, whatever step the job is in."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.engine.fake import FakeEngine
from app.errors import Conflict
from app.jobs.cancellation import CancellationWatch
from app.settings import Settings
from app.store.records import Run
from tests.support.pacs import FakePacs
from tests.support.service import Service, bundle_in_memory, running
from tests.support.studies import finished, instance, parsed, quick, stow

# Longer than the queue polls, the watch polls and a study is quiet: what was not ended would be over by then.
LONG_SECONDS = 3.5


@pytest.fixture
def pacs() -> Iterator[FakePacs]:
    with FakePacs().running() as started:
        yield started


async def send(service: Service, **attributes: Any) -> tuple[str, dict[str, Any]]:
    """A study with one image, and its job."""
    data = instance(**attributes)
    study = str(parsed(data).StudyInstanceUID)
    assert (await stow(service.client, data)).status_code == 200
    return study, (await jobs_of(service, study))[0]


async def jobs_of(service: Service, study: str) -> list[dict[str, Any]]:
    return (await service.client.get("/v1/jobs", params={"study": study})).json()["data"]


async def detail(service: Service, job: dict[str, Any]) -> dict[str, Any]:
    return (await service.client.get(f"/v1/jobs/{job['id']}")).json()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.02)


@pytest.fixture
async def slow(settings: Settings, pacs: FakePacs) -> AsyncIterator[Service]:
    """A service whose model writes slowly, with a destination."""
    changed = quick(settings, quiet_seconds=2.0).model_copy(update={"destinations": (pacs.destination,)})
    engine = FakeEngine(bundle_in_memory().vocabulary, step_seconds=0.3, chunk=4)
    async with running(changed, durable=True, engine=engine) as service:
        yield service


async def in_state(service: Service, job: dict[str, Any], state: str) -> bool:
    return (await detail(service, job))["state"] == state


@pytest.mark.parametrize("step", ["received", "waiting", "generating", "delivering"])
async def test_a_job_that_is_cancelled_in_any_step_stays_so_and_nothing_is_sent(
    slow: Service, pacs: FakePacs, step: str
) -> None:
    pacs.status = 503  # it is retried until the job is cancelled
    _, job = await send(slow)
    if step == "waiting":
        await until(lambda: in_state(slow, job, "waiting"))
    elif step == "generating":

        async def generates() -> bool:
            return slow.engine.running > 0

        await until(generates)
    elif step == "delivering":

        async def delivers() -> bool:
            return pacs.requests > 0

        await until(delivers, 20.0)
    assert (await slow.client.delete(f"/v1/jobs/{job['id']}")).json()["state"] == "cancelled"
    sent = pacs.requests
    assert slow.engine.running == 0
    await asyncio.sleep(LONG_SECONDS)
    after = await detail(slow, job)
    assert after["state"] == "cancelled"
    assert slow.engine.running == 0
    if step == "delivering":
        assert pacs.requests <= sent + 1  # the attempt that was under way
        assert after["documents"]
    else:
        assert pacs.requests == 0
        assert (after["report"], after["documents"], len(slow.engine.generations)) == (
            None,
            [],
            1 if step == "generating" else 0,
        )


async def test_an_instance_that_arrives_after_a_cancel_opens_the_next_revision_and_is_read(
    slow: Service, pacs: FakePacs
) -> None:
    study, job = await send(slow)
    await slow.client.delete(f"/v1/jobs/{job['id']}")
    await stow(slow.client, instance(StudyInstanceUID=study))
    assert (await finished(slow.client, study, revision=2))["state"] == "done"
    assert pacs.requests == 1
    assert [one["state"] for one in await jobs_of(slow, study)] == ["done", "cancelled"]


async def test_instances_that_arrive_while_a_job_is_cancelled_are_read_or_belong_to_it(
    settings: Settings,
) -> None:
    async with running(quick(settings, quiet_seconds=0.5), durable=True) as service:
        for _ in range(2):
            study, job = await send(service)
            more = [stow(service.client, instance(StudyInstanceUID=study)) for _ in range(4)]
            *answers, cancelled = await asyncio.gather(*more, service.client.delete(f"/v1/jobs/{job['id']}"))
            assert cancelled.status_code == 202
            assert [answer.status_code for answer in answers] == [200] * 4
            # What was acknowledged after the cancel has a job of its own.
            await stow(service.client, instance(StudyInstanceUID=study))
            assert (await finished(service.client, study, revision=2))["state"] == "done"


async def test_a_job_that_is_run_again_at_once_is_read_by_one_run_only(slow: Service, pacs: FakePacs) -> None:
    study, job = await send(slow)

    async def generates() -> bool:
        return slow.engine.running > 0

    await until(generates)
    assert (await slow.client.delete(f"/v1/jobs/{job['id']}")).status_code == 202
    assert (await slow.client.post(f"/v1/jobs/{job['id']}/retry")).status_code == 202
    assert (await finished(slow.client, study))["state"] == "done"
    await asyncio.sleep(1.0)
    assert len(slow.engine.generations) == 2  # the one that was ended, and the new run's
    assert pacs.requests == 1


class _Jobs:
    """Stands for Jobs: which runs are over."""

    def __init__(self) -> None:
        self.ended: set[Run] = set()

    async def over(self, runs: list[Run]) -> set[Run]:
        return self.ended & set(runs)


async def test_the_watch_ends_the_steps_of_a_run_that_is_over_and_no_others() -> None:
    jobs = _Jobs()
    watch = CancellationWatch(jobs)  # type: ignore[arg-type]
    first, second = Run("a", 1), Run("b", 1)

    async def step() -> str:
        await asyncio.sleep(0.3)
        return "done"

    ended, going = (asyncio.create_task(watch.guard(run, step())) for run in (first, second))
    await asyncio.sleep(0.05)
    jobs.ended = {first}
    await watch.look()
    with pytest.raises(Conflict):
        await ended
    assert await going == "done"
    with pytest.raises(Conflict):
        await watch.guard(first, step())


@pytest.mark.parametrize("error", [sa.exc.TimeoutError(), sa.exc.OperationalError("", None, Exception("locked"))])
async def test_a_database_that_does_not_answer_ends_no_step(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def over(_: list[Run]) -> set[Run]:
        raise error

    jobs = _Jobs()
    monkeypatch.setattr(jobs, "over", over)
    watch = CancellationWatch(jobs)  # type: ignore[arg-type]
    assert await watch.guard(Run("a", 1), asyncio.sleep(0.01, "done")) == "done"


async def test_a_workflow_that_is_cancelled_itself_is_no_cancelled_job() -> None:
    watch = CancellationWatch(_Jobs())  # type: ignore[arg-type]
    guarded = asyncio.create_task(watch.guard(Run("a", 1), asyncio.sleep(30)))
    await asyncio.sleep(0.05)
    guarded.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarded


async def test_work_whose_run_is_ended_before_it_begins_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def over(_: list[Run]) -> set[Run]:
        await asyncio.sleep(30)
        return set()

    jobs = _Jobs()
    monkeypatch.setattr(jobs, "over", over)
    work = asyncio.sleep(0)
    guarded = asyncio.create_task(CancellationWatch(jobs).guard(Run("a", 1), work))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    guarded.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarded
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
