"""Runs the application on a socket, and ends the process with a status that says why."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import FrameType
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from app.api.state import ServiceState
from app.inference.lifecycle import Lifecycle, Phase
from app.security.audit import Kind
from app.server import descriptors
from app.server.forwarded import Forwarded
from app.server.handshakes import watch
from app.server.http_protocol import BoundedHttpProtocol
from app.server.systemd import notify
from app.settings import Settings

log = structlog.get_logger(__name__)

# Longer than balancers keep an idle connection (60 s, most of them): the side that sends has to be the one that closes.
_KEEP_ALIVE_SECONDS = 75
_SWITCH_SECONDS = 0.001
_THREADS_SECONDS = 2.0
FAILED_STATUS = 70  # EX_SOFTWARE: a part died; a supervisor restarts the process


def _already_stopping(number: int, frame: object) -> None:
    """Does nothing; see `_Draining.handle_exit`."""


class _Draining(uvicorn.Server):
    """Ends readiness at the first signal and goes on serving for the grace; a second signal ends that too."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, grace_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Remember the loop, which signals are handed to."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come. It interrupts the main thread anywhere, in the middle of a log line too, whose lock that
        thread would then wait for by itself: all that takes a lock is left to the loop.
        """
        if self._loop is None or self._lifecycle.phase is Phase.DRAINING:
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._drain, self._loop)

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        log.info("draining", grace_seconds=self._grace_seconds)
        notify("STOPPING=1")
        self._lifecycle.drain()
        loop.call_later(self._grace_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


class Server:
    """uvicorn around one application; stops by itself when a part of the service has failed."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._lifecycle: Lifecycle = app.state.service.lifecycle
        self._server = _Draining(
            uvicorn.Config(
                Forwarded(app, list(settings.http.trusted_proxies)),
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                http=BoundedHttpProtocol,
                proxy_headers=False,  # `Forwarded` reads them
                timeout_graceful_shutdown=round(settings.drain.limit_seconds),
                ssl_certfile=settings.tls.certificate,
                ssl_keyfile=settings.tls.key,
                ssl_context_factory=None if settings.tls.certificate is None else self._tls,
            ),
            self._lifecycle,
            settings.drain.grace_seconds,
        )
        self._state: ServiceState = app.state.service
        self._scheme = "http" if settings.tls.certificate is None else "https"

    def _tls(self, _: uvicorn.Config, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        return watch(make(), self._note_handshake)

    def _note_handshake(self, reason: str) -> None:
        if self._state.audit is not None:
            self._state.audit.refuse(Kind.NODE_REFUSED, "unknown", "TLS handshake", reason)

    @property
    def lifecycle(self) -> Lifecycle:
        """The application's lifecycle."""
        return self._lifecycle

    @property
    def url(self) -> str:
        """Where the server listens. Raises RuntimeError before it does."""
        for server in self._server.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                return f"{self._scheme}://{host}:{port}"
        raise RuntimeError("the server is not listening")

    async def serve(self) -> int:
        """Serve until a signal stops it or a part fails; returns the process's exit status."""
        works = (self._stop_when_failed(), self._settle(), descriptors.watch())
        watchers = [asyncio.create_task(work) for work in works]
        # uvicorn raises the signal that stopped it once more at its end, for the handler that was there before; a
        # service that a signal has stopped ends with status 0.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _already_stopping)
        # The terminal is closed, or a supervisor asks for a reload: the service drains and ends, and is started anew.
        signal.signal(signal.SIGHUP, self._server.handle_exit)
        try:
            await self._server.serve()
        finally:
            for watcher in watchers:
                watcher.cancel()
        return FAILED_STATUS if self._lifecycle.failed.is_set() else 0

    async def _stop_when_failed(self) -> None:
        await self._lifecycle.failed.wait()
        log.error("a part has failed; stopping")
        self._server.should_exit = True

    async def _settle(self) -> None:
        """Take what the start has left behind out of the garbage collector's sight: it stays for good, and walking it
        takes up to a second in which no request moves.
        """
        await self._lifecycle.settled.wait()
        if self._lifecycle.phase is Phase.READY:
            notify("READY=1")
        gc.collect()
        gc.freeze()
        # A thread that polls a database must not hold the event loop up for Python's five milliseconds.
        sys.setswitchinterval(_SWITCH_SECONDS)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        """Serve in the background while the block runs; enters once the socket listens."""
        task = asyncio.create_task(self.serve())
        try:
            while not self._server.started and not task.done():
                await asyncio.sleep(0.02)
            if task.done():
                raise RuntimeError("the server did not start; is the port free?")
            yield self
        finally:
            self._server.should_exit = True
            await task


def run(serving: Coroutine[Any, Any, int]) -> int:
    """Run `serving` to its end; returns its exit status.

    Where threads are left it ends the process by itself: DBOS's repeat without a limit what a database that is gone has
    refused, and the interpreter would wait for them. The next start goes on with what they were at.
    """
    status = uvloop.run(serving)
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    until = time.monotonic() + _THREADS_SECONDS
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    left = [thread.name for thread in others if thread.is_alive()]
    if left:
        log.warning("threads left behind", threads=left)
        sys.stdout.flush()
        os._exit(status)
    return status
