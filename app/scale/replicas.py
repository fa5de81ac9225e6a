"""What runs in the cluster: one engine or one codec, as Ray Serve starts, calls and replaces it.

Each call names the bundle that its gateway serves. A replica of another one refuses it: while a cluster is updated,
ids of one model would be read by the other.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from app.codec import Codec
from app.engine import Engine
from app.engine.protocol import Delta, Generation
from app.errors import Overloaded, Unavailable
from app.scale.coalescing import coalesced
from app.scale.slots import Slot
from app.settings import Settings, load_settings
from app.telemetry import logs
from models.bundle import Bundle, load

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Description:
    """What a replica serves."""

    bundle_sha256: str
    max_model_len: int = 0


class _Replica:
    """The bundle that a replica serves, by the settings of its machine."""

    def __init__(self) -> None:
        logs.configure()
        self._settings = load_settings()
        self._bundle = load(self._settings.bundle)

    def _check(self, bundle_sha256: str) -> None:
        if bundle_sha256 != self._bundle.sha256:
            raise Unavailable("A replica of the cluster serves another bundle.", code="other_bundle")


class EngineReplica(_Replica):
    """One engine; with `fake`, its options, the fake one."""

    async def __init__(self, fake: Mapping[str, Any] | None = None) -> None:  # type: ignore[misc]  # Serve awaits it
        super().__init__()
        self._slot = Slot(self._settings.state_dir / "replicas", "engine")
        self._engine = await asyncio.to_thread(_engine, self._bundle, self._settings, self._slot, fake)
        await self._engine.start()
        log.info("engine replica ready", slot=self._slot.folder.name)

    async def describe(self) -> Description:
        """What it serves."""
        return Description(self._bundle.sha256, self._engine.max_model_len)

    async def generate(self, bundle_sha256: str, generation: Generation) -> AsyncGenerator[Delta]:
        """See `Engine.generate`; deltas come together."""
        self._check(bundle_sha256)
        async for delta in coalesced(self._engine.generate(generation), self._settings.scale.coalesce_ms / 1000.0):
            yield delta

    async def log_likelihoods(
        self, bundle_sha256: str, request_id: str, prompt: tuple[int, ...], count: int, salt: str | None, priority: int
    ) -> list[float]:
        """See `Engine.log_likelihoods`."""
        self._check(bundle_sha256)
        return await self._engine.log_likelihoods(request_id, prompt, count, salt, priority)

    async def likeliest(
        self, bundle_sha256: str, request_id: str, prompt: tuple[int, ...], count: int, salt: str | None, priority: int
    ) -> list[tuple[int, ...]]:
        """See `Engine.likeliest`."""
        self._check(bundle_sha256)
        return await self._engine.likeliest(request_id, prompt, count, salt, priority)

    async def probe(self, bundle_sha256: str) -> None:
        """See `Engine.probe`."""
        self._check(bundle_sha256)
        await self._engine.probe()

    async def check_health(self) -> None:
        """Raises Unavailable where the engine is gone or does not answer: Serve then replaces the replica."""
        if not self._engine.alive:
            raise Unavailable("The language-model engine has stopped.")
        with contextlib.suppress(Overloaded):  # a full queue is a sign of life
            await self._engine.probe()

    async def __del__(self) -> None:
        await self._engine.close()
        self._slot.close()


class CodecReplica(_Replica):
    """One codec, or the fake one."""

    async def __init__(self, fake: bool = False) -> None:  # type: ignore[misc]
        super().__init__()
        self._codec = await asyncio.to_thread(_codec, self._bundle, self._settings, fake)
        await self._codec.start()

    async def describe(self) -> Description:
        """What it serves."""
        return Description(self._bundle.sha256)

    async def encode(self, bundle_sha256: str, pixels: np.ndarray) -> list[int]:
        """See `Codec.encode`."""
        self._check(bundle_sha256)
        return await self._codec.encode(pixels)

    async def decode(self, bundle_sha256: str, codes: Sequence[int]) -> np.ndarray:
        """See `Codec.decode`."""
        self._check(bundle_sha256)
        return await self._codec.decode(codes)

    async def check_health(self) -> None:
        """Raises Unavailable where the codec is gone: Serve then replaces the replica."""
        if not self._codec.alive:
            raise Unavailable("The image codec has stopped.")

    async def __del__(self) -> None:
        await self._codec.close()


# vLLM and PyTorch are imported by replicas that use them: fakes do without.
def _engine(bundle: Bundle, settings: Settings, slot: Slot, fake: Mapping[str, Any] | None) -> Engine:
    if fake is not None:
        from app.engine.fake import FakeEngine

        return FakeEngine(bundle.vocabulary, **fake)
    from app.engine.vllm import VllmEngine

    return VllmEngine(bundle, settings.engine, slot.folder / "cache")


def _codec(bundle: Bundle, settings: Settings, fake: bool) -> Codec:
    if fake:
        from app.codec.fake import FakeCodec

        image = bundle.manifest.image
        return FakeCodec(size=image.size, grid=image.grid, codebook_size=bundle.manifest.vocabulary.codebook_size)
    from app.codec.worker import VqganCodec

    return VqganCodec(bundle, settings.codec)
