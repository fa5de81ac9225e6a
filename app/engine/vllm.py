"""The engine on vLLM's AsyncLLM, in process; its EngineCore is a process of its own. The only module that imports vLLM
(with `masking`, which runs in that process).
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import structlog
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import QueueOverflowError
from vllm.inputs import TokensPrompt
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.metrics.stats import RequestStateStats

from app.engine.masking import Mask
from app.engine.protocol import Delta, FinishReason, Generation, Kind, Sampling
from app.errors import EngineDead, InvalidRequest, Overloaded, Unavailable, WorkerFailed
from app.settings import EngineSettings
from models.bundle import Bundle

log = structlog.get_logger(__name__)

# Libraries that vLLM's CPU kernels gain from when they are preloaded: Intel's OpenMP, tcmalloc.
_PRELOADS = ("libiomp5.so", "libtcmalloc_minimal.so.4")
_LIBRARY_FOLDERS = (Path(sys.prefix) / "lib", Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64"), Path("/usr/lib"))
_STOP_SECONDS = 10.0
# Bytes of a Unix socket's path without its end, and what vLLM appends: a slash and a UUID.
_SOCKET_PATH = 107
_SOCKET_NAME = 37
_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


def preloads() -> list[Path]:
    """The libraries of `_PRELOADS` that this machine has."""
    candidates = ([folder / name for folder in _LIBRARY_FOLDERS] for name in _PRELOADS)
    found = (next((path for path in paths if path.exists()), None) for paths in candidates)
    return [path for path in found if path is not None]


def socket_folder(preferred: Path) -> Path:
    """`preferred`, or a new folder of a short name where a socket's path below it would be too long (unix(7))."""
    if len(os.fsencode(preferred)) + _SOCKET_NAME <= _SOCKET_PATH:
        return preferred
    return Path(tempfile.mkdtemp(prefix="cxr-", dir="/tmp"))


@contextlib.contextmanager
def engine_environment(settings: EngineSettings, cache: Path, sockets: Path) -> Iterator[None]:
    """Environment of the engine's process, taken back afterwards. What the user has set is kept."""
    libraries = [str(path) for path in preloads()]
    values = {
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_CPU_KVCACHE_SPACE": str(settings.cpu_kv_cache_gib),
        "LD_PRELOAD": ":".join(libraries),
        "PYTHONWARNINGS": "ignore::FutureWarning",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "TORCH_LOGS": "-torch._library.triton",
        "VLLM_RPC_BASE_PATH": str(sockets),
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "VLLM_CONFIG_ROOT": str(cache / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "HF_HOME": str(cache / "huggingface"),
    }
    added = {name: value for name, value in values.items() if value and not os.environ.get(name)}
    os.environ.update(added)
    log.info("engine environment", preload=[Path(path).name for path in libraries], set=sorted(added))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _queue_seconds(output: RequestOutput) -> float | None:
    """How long a request waited for its turn, by the engine's own clock."""
    stats = output.metrics
    if not isinstance(stats, RequestStateStats) or not stats.scheduled_ts:
        return None
    return float(max(0.0, stats.scheduled_ts - stats.queued_ts))


class VllmEngine:
    """Continuous batching over one bundle's language model."""

    def __init__(self, bundle: Bundle, settings: EngineSettings, cache: Path) -> None:
        self._bundle = bundle
        self._settings = settings
        self._cache = cache.resolve()
        temporary = Path(tempfile.gettempdir())
        self._sockets = socket_folder(temporary)
        self._sockets_are_ours = self._sockets != temporary
        self._llm: AsyncLLM | None = None
        self._max_model_len = 0
        vocabulary = bundle.vocabulary
        controls = tuple(sorted(vocabulary.controls - {vocabulary.end}))
        self._masks = {
            Kind.TEXT: Mask(0, vocabulary.text_size, controls),
            Kind.IMAGE: Mask(vocabulary.image_offset, vocabulary.size),
        }

    @property
    def max_model_len(self) -> int:
        """Longest prompt and answer together, in tokens."""
        return self._max_model_len

    @property
    def alive(self) -> bool:
        """False once the engine's process is gone."""
        return self._llm is None or not self._llm.errored

    async def start(self) -> None:
        """Load the model and wait until it generates a token. Raises EngineDead where it cannot start."""
        started = time.monotonic()
        try:
            with engine_environment(self._settings, self._cache, self._sockets):
                # Construction blocks until the engine's process has loaded the model and, unless eager, compiled it.
                self._llm = await asyncio.to_thread(self._construct)
            await self._one_token()
        except Exception as error:
            log.error("engine start failed", error=type(error).__name__)
            await self.close()
            raise EngineDead("the language-model engine did not start") from error
        log.info("engine ready", seconds=round(time.monotonic() - started, 1), max_model_len=self._max_model_len)

    def _construct(self) -> AsyncLLM:
        args = self._arguments()
        runner = "V2" if args.create_engine_config().use_v2_model_runner else "V1"
        args.logits_processors = [f"app.engine.masking:TextImageMask{runner}"]
        config = args.create_engine_config()
        self._max_model_len = int(config.model_config.max_model_len)
        return AsyncLLM.from_vllm_config(config)

    def _arguments(self) -> AsyncEngineArgs:
        settings = self._settings
        return AsyncEngineArgs(
            model=str(self._bundle.llm),
            served_model_name=self._bundle.manifest.label,
            skip_tokenizer_init=True,
            dtype=settings.dtype,
            enforce_eager=settings.enforce_eager,
            max_num_seqs=settings.max_num_seqs,
            max_model_len=settings.max_model_len,
            max_num_queued_reqs=settings.max_queue,
            scheduling_policy="priority",
            gpu_memory_utilization=settings.gpu_memory_utilization,
            tensor_parallel_size=settings.tensor_parallel_size,
            enable_prefix_caching=settings.prefix_caching,
            quantization=settings.quantization,
            **({} if settings.cuda_graphs else {"compilation_config": {"cudagraph_mode": "NONE"}}),
            disable_log_stats=False,
            enable_log_requests=False,
            use_tqdm_on_load=False,
        )

    def _sampling(self, kind: Kind, sampling: Sampling) -> SamplingParams:
        image = kind is Kind.IMAGE
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=sampling.seed,
            ignore_eos=image,
            stop_token_ids=None if image else [self._bundle.vocabulary.end],
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            extra_args=self._masks[kind].extra_args() if kind in self._masks else None,
        )

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta]:
        """Generate ids as they come; see `Engine.generate`."""
        llm = self._running()
        room = self._max_model_len - generation.sampling.max_tokens
        if len(generation.prompt) > room:
            raise InvalidRequest(
                f"the prompt has {len(generation.prompt)} tokens; with {generation.sampling.max_tokens} to generate, "
                f"at most {max(room, 0)} fit",
                code="prompt_too_long",
            )
        prompt = TokensPrompt(prompt_token_ids=list(generation.prompt))
        if generation.cache_salt is not None:
            prompt["cache_salt"] = generation.cache_salt
        sampling = self._sampling(generation.kind, generation.sampling)
        outputs = llm.generate(prompt, sampling, generation.request_id, priority=generation.priority)
        first = True
        try:
            async for output in outputs:
                part = output.outputs[0]
                queued = _queue_seconds(output) if first else None
                first = False
                yield Delta(tuple(part.token_ids), _FINISH_REASONS.get(part.finish_reason or ""), queued)
        except QueueOverflowError as error:
            raise Overloaded("the language-model engine's queue is full") from error
        except EngineDeadError as error:
            raise EngineDead("the language-model engine has stopped") from error
        except EngineGenerateError as error:
            raise WorkerFailed("the language-model engine failed on this request") from error

    async def probe(self) -> None:
        """Generate one token. Raises Unavailable where it takes longer than configured, EngineDead."""
        self._running()
        try:
            async with asyncio.timeout(self._settings.probe_seconds):
                await self._one_token()
        except TimeoutError as error:
            raise Unavailable("the language-model engine did not answer in time") from error

    async def _one_token(self) -> None:
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=1, seed=0)
        prompt = tuple(self._bundle.prompts.instruct("Ready?"))
        async for _ in self.generate(Generation(f"probe-{uuid.uuid4().hex}", prompt, Kind.TEXT, sampling)):
            pass

    def _running(self) -> AsyncLLM:
        if self._llm is None:
            raise Unavailable("the language-model engine is not running")
        if self._llm.errored:
            raise EngineDead("the language-model engine has stopped")
        return self._llm

    async def close(self) -> None:
        """Stop the engine's process."""
        llm, self._llm = self._llm, None
        if llm is not None:
            await asyncio.to_thread(llm.shutdown, _STOP_SECONDS)
        if self._sockets_are_ours:
            shutil.rmtree(self._sockets, ignore_errors=True)
