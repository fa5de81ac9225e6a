"""Replicas on one database: whose work is whose, and what becomes of a dead one's."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import sqlalchemy as sa
from dbos import DBOS

from app.errors import CxrError
from app.jobs import nodes as nodes_module
from app.jobs.nodes import NodeLock, Nodes
from app.settings import Settings
from app.store.database import Database, database_url
from app.store.tables import nodes
from tests.support.process import ServiceProcess
from tests.support.service import running
from tests.support.studies import instance, multipart, parsed, quick, stow


def test_a_second_process_of_the_same_node_waits_and_then_says_so(tmp_path: Path) -> None:
    first, second, other = NodeLock(tmp_path, "a"), NodeLock(tmp_path, "a"), NodeLock(tmp_path, "b")
    first.acquire()
    other.acquire(0.1)
    with pytest.raises(CxrError, match="CXR_NODE"):
        second.acquire(0.3)
    first.release()
    second.acquire(0.3)
    second.release()
    other.release()


async def test_what_a_leaving_node_has_not_finished_goes_on_at_another(settings: Settings) -> None:
    data = instance()
    study = str(parsed(data).StudyInstanceUID)
    slow = quick(settings, quiet_seconds=0.05).model_copy(update={"node": "a"})
    async with running(slow, durable=True) as service:
        service.engine.step_seconds = 30.0
        await stow(service.client, data)
        for _ in range(200):
            if service.engine.running:
                break
            await asyncio.sleep(0.02)
    async with running(slow.model_copy(update={"node": "b"}), durable=True) as service:
        await _done(service.client, study)


async def test_a_node_hands_over_although_a_workflow_begins_while_it_ends(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, destroy = asyncio.get_running_loop(), DBOS.destroy
    leftover = ThreadPoolExecutor()
    leftover.shutdown()

    def destroy_and_leave() -> None:
        destroy()
        loop.call_soon_threadsafe(loop.set_default_executor, leftover)

    monkeypatch.setattr(DBOS, "destroy", destroy_and_leave)
    async with running(quick(settings), durable=True) as service:
        database = service.app.state.service.studies.database
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(_names, database):
                await asyncio.sleep(0.02)
    assert _names(database) == []
    database.close()  # the look has opened it again


class _Client:
    """Stands for DBOS's client: node `b` has one workflow under way."""

    def __init__(self) -> None:
        self.resumed: list[str] = []

    def list_workflows(self, *, executor_id: str, **_: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="cxr_read_study", workflow_id="w")] if executor_id == "b" else []

    def resume_workflows(self, identities: list[str], *, queue_name: str) -> None:
        self.resumed += identities


@pytest.mark.parametrize("skew", [31.0, -31.0, 86_400.0])
def test_a_replica_with_another_clock_takes_nothing_over_from_one_that_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    database, client = Database(database_url(None, tmp_path)), _Client()
    a, b = (Nodes(name, database, client, lambda _: "q") for name in "ab")  # type: ignore[arg-type]
    real = time.time
    for _ in range(3):
        b.beat()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: real() + skew)
            assert a.beat() == 0
    assert client.resumed == []
    with database.transaction() as connection:  # it has sent no heartbeat for a while
        connection.execute(sa.update(nodes).where(nodes.c.name == "b").values(seen=nodes.c.seen - 31.0))
    assert a.beat() == 1
    assert client.resumed == ["w"]
    database.close()


def test_a_dead_replica_is_taken_over_although_the_clock_of_the_database_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, client = Database(database_url(None, tmp_path)), _Client()
    a, b = (Nodes(name, database, client, lambda _: "q") for name in "ab")  # type: ignore[arg-type]
    b.beat()
    with database.transaction() as connection:  # an hour ahead of what the clock says now
        connection.execute(sa.update(nodes).where(nodes.c.name == "b").values(seen=nodes.c.seen + 3600.0))
    passed, real = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed)
    assert a.beat() == 0
    passed = 20.0
    assert a.beat() == 0
    passed = 31.0
    assert a.beat() == 1
    assert (client.resumed, _names(database)) == (["w"], ["a"])
    database.close()


def _names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(nodes.c.name)).scalars())


async def _done(client: httpx.AsyncClient, study: str, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        listed = (await client.get("/v1/jobs", params={"study": study})).json()["data"]
        if listed and listed[0]["state"] == "done":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(listed)


async def test_what_a_killed_node_had_begun_is_taken_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes_module, "_DEAD_SECONDS", 1.0)
    monkeypatch.setattr(nodes_module, "_BEAT_SECONDS", 0.2)
    data = instance()
    body, headers = multipart([data])
    # It waits for the study to be complete when it is killed.
    killed = ServiceProcess(tmp_path, CXR_NODE="killed", CXR_STUDY__QUIET_SECONDS="3")
    with killed:
        assert httpx.post(f"{killed.url}/dicom-web/studies", content=body, headers=headers).status_code == 200
        time.sleep(1.0)
        killed.kill()
    heir = quick(settings).model_copy(update={"node": "heir", "state_dir": killed.state})
    async with running(heir, durable=True) as service:
        await _done(service.client, str(parsed(data).StudyInstanceUID))
