"""What the service holds, for the gauges and alerts."""

import asyncio
from dataclasses import dataclass

from app.store.job_reader import JobReader
from app.store.records import JobCounts
from app.store.spool import Spool


@dataclass(frozen=True)
class Occupancy:
    """What the service holds: jobs, bytes of held files, files set aside, free bytes of the spool's disk and its
    reserve.
    """

    jobs: JobCounts
    held_bytes: int
    unknown_files: int
    free_bytes: int
    reserve_bytes: int


async def occupancy_of(jobs: JobReader, spool: Spool) -> Occupancy:
    """What is held now. Raises OSError, SQLAlchemyError."""
    counts, held = await jobs.count(), await jobs.held_bytes()
    free = await asyncio.to_thread(spool.free_bytes)
    unknown = len(await asyncio.to_thread(spool.unknown_names))
    return Occupancy(counts, held, unknown, free, spool.reserve_bytes)
