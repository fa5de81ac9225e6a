"""Replicas that share a database: heartbeats, and re-enqueueing the work of a dead or stopping node.

Times are the database's: a replica whose clock is ahead would take over from living ones. As that clock may
be set back, a replica is dead as well whose heartbeat has not changed for as long as another one watched.
"""

import asyncio
import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
import structlog
from dbos import DBOSClient

from app.errors import CxrError
from app.store.database import Database
from app.store.tables import nodes

log = structlog.get_logger(__name__)

_BEAT_SECONDS = 5.0
_DEAD_SECONDS = 30.0
_LOCK_SECONDS = 60.0


class Nodes:
    """One replica among the others."""

    def __init__(self, name: str, database: Database, client: DBOSClient, queue_of: Callable[[str], str]) -> None:
        self._name = name
        self._database = database
        self._client = client
        self._queue_of = queue_of
        # The last heartbeat of every other replica, and when it was seen first by the monotonic clock of this one.
        self._watched: dict[str, tuple[float, float]] = {}

    async def run(self) -> None:
        """Send heartbeats, and take over from replicas that send none, for ever."""
        while True:
            try:
                taken = await asyncio.to_thread(self.beat)
                if taken:
                    log.warning("took over from a dead node", studies=taken)
            except Exception as error:  # a node without a heartbeat is taken for dead
                log.error("heartbeat failed", exc_info=error)
            await asyncio.sleep(_BEAT_SECONDS)

    def beat(self) -> int:
        """One heartbeat; returns how many workflows of dead replicas were taken over."""
        with self._database.transaction() as connection:
            now = self._database.now(connection)
            self._database.insert_new(connection, nodes, [{"name": self._name, "seen": now}])
            connection.execute(sa.update(nodes).where(nodes.c.name == self._name).values(seen=now))
            rows = connection.execute(sa.select(nodes.c.name, nodes.c.seen).where(nodes.c.name != self._name)).all()
            silent = [row for row in rows if self._is_unchanged(row.name, row.seen) or row.seen < now - _DEAD_SECONDS]
            # Whoever deletes the row is the one that takes over.
            names = [row.name for row in silent if self._delete(connection, row.name, row.seen)]
        self._watched = {row.name: self._watched[row.name] for row in rows if row.name not in names}
        return sum(self._reenqueue(name, self._client) for name in names)

    def _is_unchanged(self, name: str, seen: float) -> bool:
        now = time.monotonic()
        if self._watched.get(name, (None, now))[0] != seen:
            self._watched[name] = seen, now
        return now - self._watched[name][1] > _DEAD_SECONDS

    @staticmethod
    def _delete(connection: sa.Connection, name: str, seen: float) -> bool:
        dead = sa.delete(nodes).where(nodes.c.name == name, nodes.c.seen == seen)
        return connection.execute(dead).rowcount == 1

    def hand_over(self, client: DBOSClient) -> int:
        """Enqueue what this replica leaves unfinished, for any replica to go on with; returns how many workflows.

        `client` says whether it waits for a database that is gone.
        """
        count = self._reenqueue(self._name, client)
        with self._database.transaction() as connection:
            connection.execute(sa.delete(nodes).where(nodes.c.name == self._name))
        return count

    def _reenqueue(self, name: str, client: DBOSClient) -> int:
        found = client.list_workflows(executor_id=name, status="PENDING", load_input=False, load_output=False)
        by_queue: dict[str, list[str]] = {}
        for workflow in found:
            by_queue.setdefault(self._queue_of(workflow.name), []).append(workflow.workflow_id)
        for queue, identities in by_queue.items():
            client.resume_workflows(identities, queue_name=queue)
        return len(found)


class NodeLock:
    """One process a node name on a state folder: two of one name would recover each other's work."""

    def __init__(self, state_dir: Path, name: str) -> None:
        self._path = state_dir / "nodes" / f"{name}.lock"
        self._name = name
        self._file: IO[Any] | None = None

    def acquire(self, seconds: float = _LOCK_SECONDS) -> None:
        """Wait until the process before this one has ended. Raises CxrError where it does not."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("w")
        until, warned = time.monotonic() + seconds, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    file.close()
                    raise CxrError(
                        f"Another process runs as node {self._name} on this state folder: stop it, or give this one "
                        "another CXR_NODE.",
                        code="node_taken",
                    ) from None
                if not warned:
                    log.warning("waiting for another process of this node", node=self._name)
                    warned = True
                time.sleep(0.1)
            else:
                self._file = file
                return

    def release(self) -> None:
        """Let the next process in."""
        if self._file is not None:
            self._file.close()
            self._file = None
