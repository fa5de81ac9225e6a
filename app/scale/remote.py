"""The service's side of engines and codecs in a Ray cluster: `Engine` and `Codec` by handles of Ray Serve.

What is lost with a replica is done once again by another where nothing has been given yet. A request's seed draws the
same there.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np
import structlog
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.engine.protocol import Delta, Generation
from app.errors import CxrError, Unavailable
from app.scale.cluster import APPLICATIONS, connect, leave
from app.scale.remote_errors import is_lost, translated
from app.scale.replicas import Description
from app.settings import ScaleSettings

log = structlog.get_logger(__name__)

_FAILURES = (RayError, RayServeException, CxrError, ConnectionError)
_ATTEMPTS = 2
_RETRY_SECONDS = 2.0


class _Remote:
    """One deployment, called with the bundle that this service has."""

    def __init__(self, name: str, settings: ScaleSettings, bundle_sha256: str) -> None:
        self._name = name
        self._settings = settings
        self._bundle = bundle_sha256
        self._handle: DeploymentHandle[Any] | None = None

    @property
    def alive(self) -> bool:
        """Always: Serve replaces what dies, and readiness says what is there."""
        return True

    async def _connect(self) -> Description:
        """Wait for a replica. Raises Unavailable where there is none in time, or where it has another bundle."""
        await asyncio.to_thread(connect, self._settings)
        until = time.monotonic() + self._settings.start_seconds
        while True:
            try:
                # In the running event loop, to which a handle belongs.
                self._handle = serve.get_deployment_handle(self._name, app_name=APPLICATIONS[self._name])
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                    found: Description = await self._handle.describe.remote()
            except (*_FAILURES, TimeoutError) as error:
                if time.monotonic() >= until:
                    raise Unavailable(f"The Ray cluster has no replica of {self._name}.") from error
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if found.bundle_sha256 != self._bundle:
                raise Unavailable(f"{self._name} of the Ray cluster serves another bundle.", code="other_bundle")
            return found

    @property
    def _running(self) -> "DeploymentHandle[Any]":
        if self._handle is None:
            raise Unavailable("The Ray cluster is not connected.")
        return self._handle

    async def _call(self, method: str, *arguments: Any) -> Any:
        """The result of a call, which a second replica is asked for where the first is lost."""
        handle = self._running
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await getattr(handle, method).remote(self._bundle, *arguments)
            except _FAILURES as error:
                if attempt == _ATTEMPTS or not is_lost(error):
                    raise translated(error) from error
                log.warning("a replica was lost", deployment=self._name, error=type(error).__name__)
        raise AssertionError

    async def close(self) -> None:
        """Call no more."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(*_FAILURES):
                await handle.shutdown_async()


class RemoteEngine(_Remote):
    """`Engine` by a handle."""

    def __init__(self, settings: ScaleSettings, bundle_sha256: str) -> None:
        super().__init__("Engine", settings, bundle_sha256)
        self._max_model_len = 0

    @property
    def max_model_len(self) -> int:
        """Longest prompt and answer together, in tokens."""
        return self._max_model_len

    async def start(self) -> None:
        """Wait for a replica. Raises Unavailable."""
        self._max_model_len = (await self._connect()).max_model_len

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta]:
        """See `Engine.generate`. Raises Unavailable where a replica is lost that has given something."""
        stream = self._running.options(stream=True)
        for attempt in range(1, _ATTEMPTS + 1):
            deltas = stream.generate.remote(self._bundle, generation)
            given = over = False
            try:
                async for delta in deltas:
                    given, over = True, delta.finish_reason is not None
                    yield delta
                over = True
                return
            except _FAILURES as error:
                over = True
                if given or attempt == _ATTEMPTS or not is_lost(error):
                    raise translated(error) from error
                log.warning("a replica was lost", deployment=self._name, error=type(error).__name__)
            finally:
                if not over:
                    deltas.cancel()  # the replica then aborts the request

    async def log_likelihoods(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[float]:
        """See `Engine.log_likelihoods`."""
        found: list[float] = await self._call("log_likelihoods", request_id, prompt, count, cache_salt, priority)
        return found

    async def likeliest(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[tuple[int, ...]]:
        """See `Engine.likeliest`."""
        found: list[tuple[int, ...]] = await self._call("likeliest", request_id, prompt, count, cache_salt, priority)
        return found

    async def probe(self) -> None:
        """See `Engine.probe`, of any replica."""
        await self._call("probe")


class RemoteCodec(_Remote):
    """`Codec` by a handle."""

    def __init__(self, settings: ScaleSettings, bundle_sha256: str) -> None:
        super().__init__("Codec", settings, bundle_sha256)
        self._waiting = {"encode": 0, "decode": 0}

    @property
    def waiting(self) -> dict[str, int]:
        """Images under way of this service, by direction."""
        return dict(self._waiting)

    async def start(self) -> None:
        """Wait for a replica. Raises Unavailable."""
        await self._connect()

    async def encode(self, pixels: np.ndarray) -> list[int]:
        """See `Codec.encode`."""
        found: list[int] = await self._counted("encode", pixels)
        return found

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        """See `Codec.decode`."""
        found: np.ndarray = await self._counted("decode", list(codes))
        return found

    async def close(self) -> None:
        """Call no more, and leave the cluster: the codec is closed behind the engine."""
        await super().close()
        await asyncio.to_thread(leave)

    async def _counted(self, method: str, argument: Any) -> Any:
        self._waiting[method] += 1
        try:
            return await self._call(method, argument)
        finally:
            self._waiting[method] -= 1
