"""Builds the application: parts that are not passed in are made from the settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import structlog
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app import parts
from app.api.asgi import stack
from app.api.http import problems
from app.api.readiness import ReadinessProbe
from app.api.routes import (
    chat,
    codes,
    dicomweb,
    drawings,
    evidence,
    findings,
    health,
    images,
    jobs,
    models,
    reports,
    ui,
    usage,
    verification,
)
from app.api.state import ServiceState
from app.codec import Codec
from app.engine import Engine
from app.imaging import ImageReader, Sandbox
from app.imaging.headers import Headers
from app.imaging.transcoder import Transcoder
from app.inference.backend import Backend
from app.inference.cache import EncodedImageCache
from app.inference.comparison import CopyCheck
from app.inference.lifecycle import Lifecycle
from app.inference.priority import PriorityGate
from app.jobs.service import StudyService
from app.provenance.content_credentials import ContentCredentials
from app.provenance.watermark import watermark_of
from app.screening import Screen
from app.security.audit import AuditLog, Head, Kind, audit_file
from app.security.audit.export import export_of
from app.security.audit.settings import changed
from app.security.guard import Guard
from app.security.identity import Pseudonyms
from app.settings import Settings
from app.store.audit_heads import AuditHeads
from app.store.kept import KeptAnswers
from app.store.private_folder import prepare
from app.telemetry import tracing
from app.telemetry.metrics import BUNDLE_INFO
from models.bundle import Bundle

log = structlog.get_logger(__name__)

DESCRIPTION = """Reads and draws chest radiographs with one language model.

Every output is a draft for research and integration work. **Not a medical device; not for clinical use.**"""


def create_app(
    settings: Settings,
    *,
    bundle: Bundle | None = None,
    engine: Engine | None = None,
    codec: Codec | None = None,
    screen: Screen | None = None,
    reader: ImageReader | None = None,
    durable: bool = True,
) -> FastAPI:
    """The application. Starting it starts the parts in the background; `/readyz` says when they are there.

    Without `durable` no studies are taken: there is no database then.
    """

    async def build() -> Backend:
        loaded = await asyncio.to_thread(parts.bundle_of, settings) if bundle is None else bundle
        manifest = loaded.manifest
        BUNDLE_INFO.labels(name=manifest.name, version=manifest.version, sha256=loaded.sha256).set(1)
        own_codec = await asyncio.to_thread(parts.codec_of, loaded, settings) if codec is None else codec
        own_engine = await asyncio.to_thread(parts.engine_of, loaded, settings) if engine is None else engine
        own_screen = screen
        if own_screen is None:
            own_screen = await asyncio.to_thread(parts.screen_of, loaded, settings, own_codec, own_engine)
        return Backend(
            bundle=loaded,
            reader=reader or Sandbox(settings.imaging, manifest.image.size),
            codec=own_codec,
            engine=own_engine,
            screen=own_screen,
            screening=settings.screen,
            elsewhere=frozenset({"engine", "codec"}) if parts.is_elsewhere(settings) else frozenset(),
            copies=CopyCheck.from_settings(await asyncio.to_thread(parts.copies_of, loaded), settings.draw),
            encoded_images=EncodedImageCache(settings.codec.keep_readings),
            watermark=await asyncio.to_thread(watermark_of, settings.draw, settings.state_dir),
            reference_attempts=settings.engine.reference_attempts if settings.engine.decoding == "reference" else 0,
        )

    state = ServiceState(
        settings=settings,
        lifecycle=Lifecycle(build, settings.engine.max_failed_probes),
        gate=PriorityGate(settings.study.max_running, settings.study.patience_seconds),
        readiness=ReadinessProbe(),
        headers=Headers(settings.imaging),
        transcoder=Transcoder(settings.imaging),
    )

    async def open_studies() -> None:
        limiter = state.started_guard.limiter
        opened = await asyncio.to_thread(
            StudyService, settings, state.lifecycle, state.gate, state.headers, state.audit, limiter
        )
        # Known before it has started: a start that fails is closed, too.
        state.studies = opened
        secret = Pseudonyms.from_state_dir(settings.state_dir).key("kept answers")
        state.kept = KeptAnswers(opened.database, secret, settings.limits.max_kept_mb * 1_000_000)
        assert state.audit is not None
        heads = AuditHeads(opened.database, state.audit.name)
        noted = await asyncio.to_thread(heads.noted)
        state.audit.expected = None if noted is None else Head(*noted)
        state.audit.anchor = lambda head: heads.note(head.number, head.hash)
        await opened.start()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        prepare(settings.state_dir)
        tracing.configure(settings.otlp, _version())
        pseudonyms = Pseudonyms.from_state_dir(settings.state_dir)
        state.guard = Guard(settings, pseudonyms)
        export = export_of(settings, pseudonyms)
        audit = state.audit = AuditLog(audit_file(settings.state_dir), pseudonyms, settings.audit.max_mb * 1_000_000)
        if export is not None:
            audit.export, export.lost = export, partial(_note_not_sent, audit)
        state.credentials = await asyncio.to_thread(ContentCredentials.from_settings, settings.draw, settings.state_dir)
        for doubt in settings.webhook.doubts:
            log.warning("webhook", doubt=doubt)
        facts = {"node": settings.node, "version": _version(), "settings": changed(settings, pseudonyms)}
        audit.note(Kind.START, "service", "start", "ok", **facts)
        lifecycle = state.lifecycle
        lifecycle.start(before=open_studies if durable else None)
        try:
            yield
        finally:
            lifecycle.drain()
            if state.studies is not None:
                await state.studies.stop()
            await lifecycle.close()
            await asyncio.to_thread(state.headers.close)
            await asyncio.to_thread(state.transcoder.close)
            audit.hand_on_refusals()
            audit.note(Kind.STOP, "service", "stop", lifecycle.phase.value, node=settings.node)
            await asyncio.to_thread(audit.close)
            if export is not None:
                await asyncio.to_thread(export.close)
            if state.studies is not None:
                await state.studies.close()
            await asyncio.to_thread(tracing.flush)

    # The documentation page's script comes with the package: hospital networks reach no CDN.
    app = FastAPIOffline(
        redoc_url=None,
        root_path=settings.http.root_path,
        title="LLM-CXR server",
        version=_version(),
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0"},
        lifespan=lifespan,
    )
    app.state.service = state
    ours = (reports, findings, evidence, images, drawings, codes, verification, chat, models, usage, jobs)
    for router in (*(module.router for module in ours), *dicomweb.routers, health.router):
        app.include_router(router)
    ui.install(app)
    problems.install(app)
    stack.install(app, settings)
    return app


def _note_not_sent(audit: AuditLog, events: int) -> None:
    audit.note(Kind.NOT_SENT, "service", "not sent to the repository", "lost", events=events)


def _version() -> str:
    try:
        return version("llm-cxr-server")
    except PackageNotFoundError:
        return "0"
