"""Gauges that are read when they are asked for: queues, jobs, disk, GPU."""

import contextlib
import time

import structlog

from app.inference.backend import Services
from app.jobs.service import Studies
from app.store.jobs import STATES
from app.telemetry import metrics

log = structlog.get_logger(__name__)


def observe(services: Services | None, studies: Studies | None) -> None:
    """Set the gauges; asks the database, so it is to be called off the event loop."""
    metrics.ENGINE_UP.set(1 if services is not None and services.engine.alive else 0)
    if services is not None:
        for direction, waiting in services.codec.waiting.items():
            metrics.CODEC_QUEUE_IMAGES.labels(direction=direction).set(waiting)
    if studies is not None and studies.accepting:
        try:
            _observe_studies(studies)
        except Exception as error:  # a database that is gone must not take the other metrics along
            log.error("study metrics not available", error=type(error).__name__)
    _observe_gpus()


def _observe_studies(studies: Studies) -> None:
    counts, oldest = studies.jobs.count()
    for state in STATES:
        metrics.JOBS.labels(state=state).set(counts.get(state, 0))
    metrics.OLDEST_JOB_SECONDS.set(0.0 if oldest is None else time.time() - oldest)
    metrics.SPOOL_BYTES.set(studies.jobs.held_bytes())
    with contextlib.suppress(OSError):
        metrics.SPOOL_FREE_BYTES.set(studies.spool.free_bytes())
    metrics.SPOOL_RESERVE_BYTES.set(studies.spool.reserve_bytes)


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
