"""The screen on the bundle's network: micro-batches on a thread of its own, on the codec's device."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from app.codec.batcher import Batcher
from app.errors import CodecDead
from app.screening.protocol import Sight
from app.settings import CodecSettings
from models.bundle import Bundle
from models.screen.screen import Screen
from models.screen.statistics import unreadable


class NetworkScreen:
    """Looks with the bundle's network, and at the statistics of the pixels."""

    def __init__(self, bundle: Bundle, settings: CodecSettings, device: torch.device) -> None:
        self._folder = bundle.screen
        self._size = bundle.manifest.image.size
        self._device = device
        self._network: Screen | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="screen")
        self._batcher = Batcher(
            self._look,
            self._executor,
            queue_stage="screen_queue",
            max_batch=settings.max_batch,
            max_wait=0.0,
            max_queue=settings.max_queue,
        )

    async def start(self) -> None:
        """Load the weights and look once. Raises CodecDead."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._load)
        except Exception as error:
            raise CodecDead("The screen did not start.") from error

    def _load(self) -> None:
        if self._folder is None:
            raise CodecDead("The bundle has no screen.")
        self._network = Screen.load(self._folder, self._device)
        self._look([np.zeros((self._size, self._size), np.uint8)])

    def _look(self, pictures: Sequence[np.ndarray]) -> list[Sight]:
        if self._network is None:
            raise CodecDead("The screen is not running.")
        pixels = np.stack(pictures)
        thresholds = self._network.config.thresholds
        seen = zip(self._network.look(pixels), unreadable(pixels), strict=True)
        return [Sight(look, why, thresholds) for look, why in seen]

    async def look(self, pixels: np.ndarray) -> Sight:
        """See `Screen.look`."""
        return await self._batcher.submit(pixels)

    async def close(self) -> None:
        """Stop the thread."""
        await self._batcher.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
