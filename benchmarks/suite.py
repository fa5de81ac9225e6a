"""What scenarios share: the bundle, the device, how many rounds, folders, and services that are started once."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from app.settings import EngineSettings
from benchmarks.measure import Result
from benchmarks.service import Service
from models.bundle import Bundle, load


@dataclass
class Suite:
    """One run of the suite. As a context it ends what it has started.

    `folder` is written to and may go afterwards; `cache` keeps compiled kernels between runs; `launch` makes a service.
    """

    path: Path
    device: str
    rounds: int
    folder: Path
    cache: Path
    launch: Callable[..., Service] = Service
    bundle: Bundle = field(init=False)
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _service: Service | None = None
    _services_begun: int = 0

    def __post_init__(self) -> None:
        self.bundle = load(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def engine_share(self) -> float:
        """Share of a GPU's memory for an engine (vLLM's `gpu_memory_utilization`): three hold a GPU together, and
        beside them there are two models of Hugging Face's and each contender's VQ-GAN.
        """
        return EngineSettings().gpu_memory_utilization if self.device == "cpu" else 0.22

    def new_service(self, name: str, settings: Mapping[str, str] | None = None, bundle: Path | None = None) -> Service:
        """A service on the bundle, or on another one, compiled, for the caller to start: its default settings but for
        `settings`.
        """
        device = {
            "CXR_CODEC__DEVICE": self.device,
            "CXR_ENGINE__GPU_MEMORY_UTILIZATION": str(self.engine_share),
        }
        return self.launch(
            self.folder / name, bundle=bundle or self.path, cache=self.cache, settings={**device, **(settings or {})}
        )

    def service(self) -> Service:
        """The service that scenarios share; started by the first one that asks.

        It reads a study as soon as it comes, and all of them at once: no scenario waits for studies to be complete.
        """
        if self._service is None:
            self._services_begun += 1
            settings = {"CXR_STUDY__QUIET_SECONDS": "0", "CXR_STUDY__CONCURRENCY": "600"}
            self._service = self._running.enter_context(self.new_service(f"service-{self._services_begun}", settings))
        return self._service

    def end_service(self) -> None:
        """End the shared service, whose state would affect the next scenario."""
        self._service = None
        self._running.close()

    def with_memory(self, result: Result) -> Result:
        """A scenario's result with what the shared service's processes hold after it, where it has been started."""
        if self._service is None or "private_mb" in result.figures:
            return result
        return replace(result, figures={**result.figures, "private_mb": self._service.private_mb()})
