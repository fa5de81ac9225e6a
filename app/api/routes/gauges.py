"""Gauges that are read when they are asked for: queues, jobs, disk, GPU."""

import asyncio
import contextlib

import structlog

from app.inference.backend import Backend
from app.jobs.occupancy import Occupancy
from app.jobs.service import StudyService
from app.store.job_states import JobState
from app.telemetry import metrics

log = structlog.get_logger(__name__)


async def observe(backend: Backend | None, studies: StudyService | None) -> None:
    """Set the gauges."""
    metrics.ENGINE_UP.set(1 if backend is not None and backend.engine.alive else 0)
    if backend is not None:
        for direction, waiting in backend.codec.waiting.items():
            metrics.CODEC_QUEUE_IMAGES.labels(direction=direction).set(waiting)
    if studies is not None and studies.accepting:
        try:
            _observe_studies(await studies.occupancy())
        except Exception as error:  # a database that is gone must not take the other metrics along
            log.error("study metrics not available", error=type(error).__name__)
    await asyncio.to_thread(_observe_gpus)


def _observe_studies(occupancy: Occupancy) -> None:
    for state in JobState:
        metrics.JOBS.labels(state=state).set(occupancy.jobs.by_state.get(state, 0))
    metrics.OLDEST_JOB_SECONDS.set(max(0.0, occupancy.jobs.oldest_seconds or 0.0))
    metrics.SPOOL_BYTES.set(occupancy.held_bytes)
    metrics.SPOOL_UNKNOWN_FILES.set(occupancy.unknown_files)
    metrics.SPOOL_FREE_BYTES.set(occupancy.free_bytes)
    metrics.SPOOL_RESERVE_BYTES.set(occupancy.reserve_bytes)


def _observe_gpus() -> None:
    import torch

    if not torch.cuda.is_available():
        return
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        metrics.GPU_MEMORY_USED.labels(gpu=str(index)).set(total - free)
        metrics.GPU_MEMORY_TOTAL.labels(gpu=str(index)).set(total)
        with contextlib.suppress(RuntimeError, ImportError):  # needs NVML's binding
            metrics.GPU_UTILISATION.labels(gpu=str(index)).set(torch.cuda.utilization(index) / 100.0)
