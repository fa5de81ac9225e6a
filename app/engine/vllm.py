"""The engine on vLLM's AsyncLLM, in process; its EngineCore is a process of its own. The only module that imports vLLM
(with `masking`, which runs in that process).
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path

import structlog
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import QueueOverflowError
from vllm.inputs import TokensPrompt
from vllm.outputs import RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.executor.uniproc_executor import UniProcExecutor
from vllm.v1.metrics.stats import RequestStateStats

from app.engine.environment import engine_environment, socket_folder
from app.engine.masking import Mask, draw_args
from app.engine.protocol import Delta, FinishReason, Generation, Kind, Sampling
from app.engine.sampling import TokenDraw
from app.engine.warmup import warm_up
from app.errors import EngineDead, InvalidRequest, Overloaded, Unavailable, WorkerFailed
from app.settings import EngineSettings
from models.bundle import Bundle
from models.vocabulary import Vocabulary

log = structlog.get_logger(__name__)

_STOP_SECONDS = 10.0
_FRESH_SECONDS = 1.0
_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


def _queue_seconds(output: RequestOutput) -> float | None:
    """How long a request waited for its turn, by the engine's own clock."""
    stats = output.metrics
    if not isinstance(stats, RequestStateStats) or not stats.scheduled_ts:
        return None
    return float(max(0.0, stats.scheduled_ts - stats.queued_ts))


def engine_arguments(bundle: Bundle, settings: EngineSettings) -> AsyncEngineArgs:
    """The engine's arguments for a bundle, with the mask for the model runner that they lead to."""
    arguments = AsyncEngineArgs(
        model=str(bundle.llm),
        served_model_name=bundle.manifest.label,
        skip_tokenizer_init=True,
        dtype=_dtype(bundle, settings),
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
    config = arguments.create_engine_config()
    if current_platform.is_cpu():
        # No chunked prefill on a CPU: vLLM 0.32 samples an id that is discarded after a partial prefill and rewinds the
        # request's generator, which CPU generators do not support: the engine crashes.
        arguments.enable_chunked_prefill = False
        if settings.tensor_parallel_size == 1:
            # vLLM's default executor on a CPU is another process, for which the engine spins on a processor while it
            # waits. vLLM refuses the name `uni` there, since it cannot bind threads; ours are not bound (`nobind`).
            arguments.distributed_executor_backend = UniProcExecutor
        arguments.max_num_batched_tokens = max(
            config.scheduler_config.max_num_batched_tokens, config.model_config.max_model_len
        )
    runner = "V2" if config.use_v2_model_runner else "V1"
    arguments.logits_processors = [f"app.engine.masking:TextImageMask{runner}"]
    return arguments


def _dtype(bundle: Bundle, settings: EngineSettings) -> str:
    """The data type to compute in; on a CPU `auto` is the model's own: vLLM would make bf16 of fp32, in which a CPU
    without instructions for it multiplies four times slower.
    """
    if settings.dtype != "auto" or not current_platform.is_cpu():
        return settings.dtype
    config = json.loads((bundle.llm / "config.json").read_text())
    return str(config.get("dtype") or config.get("torch_dtype") or "auto")


def masks_of(vocabulary: Vocabulary) -> dict[Kind, Mask]:
    """What each kind of generation may consist of; `Kind.ANY` has no mask."""
    controls = tuple(sorted(vocabulary.controls - {vocabulary.end}))
    return {
        Kind.TEXT: Mask(0, vocabulary.text_size, controls),
        Kind.IMAGE: Mask(vocabulary.image_offset, vocabulary.size),
    }


def sampling_parameters(kind: Kind, sampling: Sampling, vocabulary: Vocabulary) -> SamplingParams:
    """The engine's parameters of one generation. On a CPU `TextImageMaskV1` draws its ids."""
    image = kind is Kind.IMAGE
    mask = masks_of(vocabulary).get(kind)
    extra = {} if mask is None else mask.extra_args()
    ours = current_platform.is_cpu() and sampling.temperature > 0.0
    if ours:
        extra |= draw_args(TokenDraw(sampling.temperature, sampling.top_p, sampling.seed))
    return SamplingParams(
        # Where our processor samples the id, it is the only one that vLLM's argmax finds.
        temperature=0.0 if ours else sampling.temperature,
        top_p=1.0 if ours else sampling.top_p,
        max_tokens=sampling.max_tokens,
        seed=None if ours else sampling.seed,
        ignore_eos=image,
        stop_token_ids=None if image else [vocabulary.end],
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        extra_args=extra or None,
    )


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
        self._last_output = 0.0

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
            if not current_platform.is_cpu():
                await warm_up(self, self._bundle, min(self._settings.max_num_seqs, self._settings.max_queue))
        except Exception as error:
            log.error("engine start failed", error=type(error).__name__)
            await self.close()
            raise EngineDead("The language-model engine did not start.") from error
        log.info("engine ready", seconds=round(time.monotonic() - started, 1), max_model_len=self._max_model_len)

    def _construct(self) -> AsyncLLM:
        config = engine_arguments(self._bundle, self._settings).create_engine_config()
        self._max_model_len = int(config.model_config.max_model_len)
        return AsyncLLM.from_vllm_config(config)

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta]:
        """Generate ids as they come; see `Engine.generate`."""
        llm = self._running()
        room = self._max_model_len - generation.sampling.max_tokens
        if len(generation.prompt) > room:
            raise InvalidRequest(
                f"The prompt has {len(generation.prompt)} tokens; with {generation.sampling.max_tokens} to generate, "
                f"at most {max(room, 0)} fit.",
                code="prompt_too_long",
            )
        prompt = TokensPrompt(prompt_token_ids=list(generation.prompt))
        if generation.cache_salt is not None:
            prompt["cache_salt"] = generation.cache_salt
        sampling = sampling_parameters(generation.kind, generation.sampling, self._bundle.vocabulary)
        outputs = llm.generate(prompt, sampling, generation.request_id, priority=generation.priority)
        first = True
        try:
            # Closed at once when the consumer leaves: vLLM then aborts the request.
            async with contextlib.aclosing(outputs):
                async for output in outputs:
                    self._last_output = time.monotonic()
                    part = output.outputs[0]
                    queued = _queue_seconds(output) if first else None
                    first = False
                    yield Delta(tuple(part.token_ids), _FINISH_REASONS.get(part.finish_reason or ""), queued)
        except QueueOverflowError as error:
            raise Overloaded("The language-model engine's queue is full.") from error
        except EngineDeadError as error:
            raise EngineDead("The language-model engine has stopped.") from error
        except EngineGenerateError as error:
            raise WorkerFailed("The language-model engine failed on this request.") from error

    async def probe(self) -> None:
        """See `Engine.probe`. Raises Unavailable where nothing was generated for as long as configured, EngineDead."""
        self._running()
        started = time.monotonic()
        if started - self._last_output < _FRESH_SECONDS:
            return
        try:
            async with asyncio.timeout(self._settings.probe_seconds):
                await self._one_token()
        except TimeoutError as error:
            # A full engine lets the probe wait, and goes on with what came before.
            if self._last_output < started:
                raise Unavailable("The language-model engine did not answer in time.") from error

    async def _one_token(self) -> None:
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=1, seed=0)
        prompt = tuple(self._bundle.prompts.instruct("Ready?"))
        async for _ in self.generate(Generation(f"probe-{uuid.uuid4().hex}", prompt, Kind.TEXT, sampling)):
            pass

    def _running(self) -> AsyncLLM:
        if self._llm is None:
            raise Unavailable("The language-model engine is not running.")
        if self._llm.errored:
            raise EngineDead("The language-model engine has stopped.")
        return self._llm

    async def close(self) -> None:
        """Stop the engine's process."""
        llm, self._llm = self._llm, None
        if llm is not None:
            # vLLM ends its process first, and its reader then reports that as a failure.
            if llm.output_handler is not None:
                llm.output_handler.cancel()
            llm.output_processor.propagate_error(EngineDeadError())
            await asyncio.to_thread(llm.shutdown, _STOP_SECONDS)
        if self._sockets_are_ours:
            shutil.rmtree(self._sockets, ignore_errors=True)
