"""The middleware in its order, the outermost last."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.api.asgi.access import RequestContext
from app.api.asgi.auth import AuthMiddleware
from app.api.asgi.body_limit import BodyLimit
from app.api.asgi.compression import Compression
from app.api.asgi.prefix import Prefix
from app.api.asgi.rate_headers import NAMES as RATE_HEADERS
from app.api.asgi.shell import Shell
from app.settings import Settings

_TOLD = ("X-Request-Id", "Retry-After", "Warning", "Idempotent-Replayed", *RATE_HEADERS)


def install(app: FastAPI, settings: Settings) -> None:
    """Put the middleware around the routes."""
    limits, http = settings.limits, settings.http
    app.add_middleware(Shell)
    app.add_middleware(Compression)
    app.add_middleware(
        BodyLimit,
        upload_limit=limits.max_upload_mb * 1_000_000,
        chat_limit=limits.max_chat_mb * 1_000_000,
        json_limit=limits.max_json_mb * 1_000_000,
        study_limit=limits.max_study_mb * 1_000_000,
        seconds=limits.deadline_seconds,
    )
    app.add_middleware(AuthMiddleware, hosts=http.hosts, listening=settings.host, origins=http.origins)
    if http.origins:
        # Pages of these sites may read answers; a key is sent by their script, never a cookie. Headers are any:
        # OpenAI's client and tracers send their own.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=http.origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=_TOLD,
        )
    app.add_middleware(RequestContext)
    app.add_middleware(Prefix, prefix=http.root_path)
