"""Deliveries: how far a job's documents have come with each destination."""

import sqlalchemy as sa

from app.store.database import Database
from app.store.records import Delivery
from app.store.tables import deliveries


class Deliveries:
    """Reads and notes deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_job(self, job_id: str) -> list[Delivery]:
        """How far each destination has come."""
        columns = [deliveries.c[name] for name in ("destination", "state", "attempts", "error", "updated")]
        query = sa.select(*columns).where(deliveries.c.job == job_id).order_by(deliveries.c.destination)
        return await self._database.read(
            lambda connection: [Delivery(**row._mapping) for row in connection.execute(query)]
        )

    async def note(self, job_id: str, destination: str, state: str, attempts: int, error: str | None = None) -> None:
        """Note the outcome of an attempt at one destination."""

        def note(connection: sa.Connection) -> None:
            now = self._database.now(connection)
            values = {"state": state, "attempts": attempts, "error": error, "updated": now}
            row = {"job": job_id, "destination": destination, **values}
            self._database.insert_new(connection, deliveries, [row])
            mine = (deliveries.c.job == job_id, deliveries.c.destination == destination)
            connection.execute(sa.update(deliveries).where(*mine).values(**values))

        await self._database.write(note)
