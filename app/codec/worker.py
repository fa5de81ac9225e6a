"""The codec on the bundle's VQ-GAN: one thread owns the device, calls reach it in micro-batches."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog
import torch
from torch import Tensor

from app.codec.batcher import Batcher, In, Out
from app.errors import CodecDead
from app.settings import CodecSettings
from models.bundle import Bundle
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey, to_pixels

log = structlog.get_logger(__name__)


def device_of(name: str) -> torch.device:
    """The device that a setting names; `auto` is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


class VqganCodec:
    """Encodes and decodes on one thread, so that batches never compete for the device."""

    def __init__(self, bundle: Bundle, settings: CodecSettings) -> None:
        self._bundle = bundle
        self._settings = settings
        self._device = device_of(settings.device)
        self._fast = settings.fast and self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._model: VQGAN | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="codec")
        self._closed = False
        self._encode = self._batcher(self._run_encode, "encode_queue")
        self._decode = self._batcher(self._run_decode, "detokenise_queue")

    def _batcher(self, run: Callable[[Sequence[In]], Sequence[Out]], queue_stage: str) -> Batcher[In, Out]:
        return Batcher(
            run,
            self._executor,
            queue_stage=queue_stage,
            max_batch=self._settings.max_batch,
            max_wait=self._settings.max_wait_ms / 1000.0,
            max_queue=self._settings.max_queue,
        )

    @property
    def alive(self) -> bool:
        """False once closed."""
        return not self._closed

    @property
    def waiting(self) -> dict[str, int]:
        """See `Codec.waiting`."""
        return {"encode": self._encode.waiting, "decode": self._decode.waiting}

    async def start(self) -> None:
        """Load the weights and run both directions once. Raises CodecDead."""
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._load)
        except Exception as error:
            raise CodecDead("The image codec did not start.") from error
        log.info("codec ready", seconds=round(time.monotonic() - started, 1), device=str(self._device))

    def _load(self) -> None:
        if self._device.type == "cpu":
            torch.set_num_threads(self._settings.threads or max(1, (torch.get_num_threads() + 1) // 2))
        self._model = VQGAN.load(self._bundle.vqgan, self._device)
        if self._fast:
            self._model = self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._model.encoder.compile(dynamic=True)
            self._model.decoder.compile(dynamic=True)
        size = self._bundle.manifest.image.size
        self._run_decode(self._run_encode([np.zeros((size, size), np.uint8)]))

    def _run_encode(self, images: Sequence[np.ndarray]) -> list[list[int]]:
        model = self._loaded()
        codes: list[list[int]] = []
        with self._running():
            for part in self._parts(images):
                pixels = to_pixels(np.stack(part), model.config.in_channels)
                codes.extend(model.encode(self._moved(pixels)).tolist())
        return codes

    def _run_decode(self, codes: Sequence[Sequence[int]]) -> list[np.ndarray]:
        model = self._loaded()
        images: list[np.ndarray] = []
        with self._running():
            for part in self._parts(codes):
                images.extend(to_grey(model.decode(self._moved(torch.tensor(part, dtype=torch.int64)))))
        return images

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Inference; on a GPU beside the engine's kernels on a stream of its own, and in bf16 where `fast` is set. The
        nearest codebook entry is always found in fp32.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._stream is not None:
                stack.enter_context(torch.cuda.stream(self._stream))
            if self._fast:
                stack.enter_context(torch.autocast(self._device.type, torch.bfloat16))
            yield

    def _moved(self, values: Tensor) -> Tensor:
        """On the device; pinned memory lets a GPU copy while it computes."""
        if self._stream is None:
            return values.to(self._device)
        return values.pin_memory().to(self._device, non_blocking=True)

    def _parts(self, items: Sequence[In]) -> list[Sequence[In]]:
        """A GPU takes the batch whole. A CPU takes one image at a time: its activations stay in the cache (16 at once
        took 1.7 times as long an image on two cores), and the codes cannot depend on the batch.
        """
        return [items] if self._device.type != "cpu" else [[item] for item in items]

    def _loaded(self) -> VQGAN:
        if self._model is None:
            raise CodecDead("The image codec is not running.")
        return self._model

    async def encode(self, pixels: np.ndarray) -> list[int]:
        """See `Codec.encode`."""
        return await self._encode.submit(pixels)

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        """See `Codec.decode`."""
        return await self._decode.submit(codes)

    async def close(self) -> None:
        """Stop both directions and the thread."""
        self._closed = True
        await self._encode.close()
        await self._decode.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
