"""The engine on vLLM's AsyncLLM, in process; its EngineCore is a process of its own. The only module that imports vLLM
with `vllm_arguments`, `vllm_outputs` and `attention_timing`, and what runs in that process: `gpt_neox`, the workers,
`masking`, `pairs` and `room`.
"""

import asyncio
import contextlib
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import partial
from pathlib import Path

import structlog
from vllm.exceptions import QueueOverflowError
from vllm.logprobs import Logprob
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from app.concurrency import gather_or_cancel
from app.engine.attention import chosen
from app.engine.attention_timing import geometry_of
from app.engine.environment import engine_environment, socket_folder
from app.engine.likelihoods import first_place, places
from app.engine.protocol import LIKELIEST, Delta, FinishReason, Generation, Kind, Sampling
from app.engine.ranks import Ranks
from app.engine.vllm_arguments import config_of, engine_arguments, request_of, scoring_parameters, tokens_prompt
from app.engine.vllm_outputs import last_places, queue_seconds, raise_ended
from app.engine.warmup import warm_up
from app.errors import EngineDead, InvalidRequest, Overloaded, Unavailable, WorkerFailed
from app.settings import EngineSettings
from models.bundle import Bundle

log = structlog.get_logger(__name__)

_STOP_SECONDS = 10.0
_FRESH_SECONDS = 1.0
_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turns vLLM's errors into ours."""
    try:
        yield
    except QueueOverflowError as error:
        raise Overloaded("The language-model engine's queue is full.") from error
    except EngineDeadError as error:
        raise EngineDead("The language-model engine has stopped.") from error
    except EngineGenerateError as error:
        raise WorkerFailed("The language-model engine failed on this request.") from error


class VllmEngine:
    """Continuous batching over one bundle's language model, in one process or, data parallel, in several."""

    def __init__(self, bundle: Bundle, settings: EngineSettings, cache: Path) -> None:
        self._bundle = bundle
        self._settings = settings
        self._cache = cache.resolve()
        temporary = Path(tempfile.gettempdir())
        self._sockets = socket_folder(temporary)
        self._sockets_are_ours = self._sockets != temporary
        self._llm: AsyncLLM | None = None
        self._max_model_len = 0
        self._ranks = Ranks(settings.data_parallel_size)

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
            await gather_or_cancel(self._warm(rank) for rank in self._ranks)
        except Exception as error:
            log.error("engine start failed", error=type(error).__name__)
            await self.close()
            raise EngineDead("The language-model engine did not start.") from error
        log.info("engine ready", seconds=round(time.monotonic() - started, 1), max_model_len=self._max_model_len)

    def _construct(self) -> AsyncLLM:
        arguments = engine_arguments(self._bundle, self._settings)
        config = config_of(arguments)
        if self._settings.attention == "auto" and not current_platform.is_cpu():
            kernel = chosen(self._cache, geometry_of(config))
            if kernel is not None:
                log.info("attention kernel", name=kernel)
                arguments.attention_backend = kernel
                config = config_of(arguments)
        self._max_model_len = int(config.model_config.max_model_len)
        return AsyncLLM.from_vllm_config(config)

    async def _warm(self, rank: int) -> None:
        await self._one_token(rank)
        if not current_platform.is_cpu():
            count = min(self._settings.max_num_seqs, self._settings.max_queue)
            await warm_up(partial(self._generate, rank=rank), self._bundle, count)

    def generate(self, generation: Generation) -> AsyncGenerator[Delta]:
        """Generate ids as they come; see `Engine.generate`."""
        return self._generate(generation)

    async def _generate(self, generation: Generation, rank: int | None = None) -> AsyncGenerator[Delta]:
        """The same, by the engine of a rank."""
        llm = self._running()
        self._check_room(len(generation.prompt), generation.sampling.max_tokens)
        first = True
        # Closed at once when the consumer leaves: vLLM then aborts the request.
        with _failures(), self._ranks.taken(rank, requests=1 if generation.guidance is None else 2) as at:
            prompt, sampling = request_of(self._bundle, generation)
            name, priority = generation.request_id, generation.priority
            outputs = llm.generate(prompt, sampling, name, priority=priority, data_parallel_rank=at)
            async with self._second_row(llm, generation, at), contextlib.aclosing(outputs):
                async for output in outputs:
                    self._ranks.note(at)
                    part = output.outputs[0]
                    queued = queue_seconds(output) if first else None
                    if part.finish_reason is not None and part.finish_reason not in _FINISH_REASONS:
                        raise_ended(part.stop_reason)
                    least = self._bundle.vocabulary.image_offset
                    if generation.guidance is not None and min(part.token_ids, default=least) < least:
                        raise WorkerFailed("The engine has lost half of a guided drawing.")
                    likely = first_place(part.logprobs, generation.scored) if first else ()
                    first, ids, top = False, tuple(part.token_ids), generation.top_logprobs
                    told = () if top is None else places(part.logprobs, ids, top)
                    yield Delta(ids, _FINISH_REASONS.get(part.finish_reason or ""), queued, likely, told)

    @contextlib.asynccontextmanager
    async def _second_row(self, llm: AsyncLLM, generation: Generation, rank: int) -> AsyncGenerator[None]:
        """Has the second row of a guided generation in the same engine meanwhile."""
        if generation.guidance is None:
            yield
            return
        if generation.kind is not Kind.IMAGE or min(self._settings.max_num_seqs, self._settings.max_queue) < 2:
            raise InvalidRequest("Guidance is for drawings, and needs two slots.", code="guidance_not_offered")
        self._check_room(len(generation.guidance.prompt), generation.sampling.max_tokens)
        prompt, sampling = request_of(self._bundle, generation, conditional=False)
        name, priority = f"{generation.request_id}-without", generation.priority
        row = await llm.add_request(name, prompt, sampling, priority=priority, data_parallel_rank=rank)
        try:
            yield
        finally:
            # Nothing happens to one that has ended; an engine that is gone has nobody to tell.
            if self._llm is not None and not llm.errored:
                await llm.abort(row.request_id, internal=True)
            row.close()

    async def log_likelihoods(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[float]:
        """See `Engine.log_likelihoods`."""
        places = await self._score(request_id, prompt, count, 0, cache_salt, priority)
        return [place[token].logprob for token, place in zip(prompt[-count:], places, strict=True)]

    async def likeliest(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[tuple[int, ...]]:
        """See `Engine.likeliest`."""
        places = await self._score(request_id, prompt, count, LIKELIEST, cache_salt, priority)
        ranked = [sorted(place, key=lambda token: -place[token].logprob) for place in places]
        return [tuple(tokens[:LIKELIEST]) for tokens in ranked]

    async def _score(
        self, request_id: str, prompt: tuple[int, ...], count: int, others: int, salt: str | None, priority: int
    ) -> list[Mapping[int, Logprob]]:
        """What is known of the last `count` ids of a prompt and the `others` that are the likeliest in their place."""
        llm = self._running()
        self._check_room(len(prompt), 1)
        sampling = scoring_parameters(len(prompt) - count, others)
        found: list[Mapping[int, Logprob]] = []
        with _failures(), self._ranks.taken() as rank:
            tokens = tokens_prompt(prompt, salt)
            outputs = llm.generate(tokens, sampling, request_id, priority=priority, data_parallel_rank=rank)
            async with contextlib.aclosing(outputs):
                async for output in outputs:
                    self._ranks.note(rank)
                    found = last_places(output, count)
        return found

    async def probe(self) -> None:
        """See `Engine.probe`. Raises Unavailable where nothing was generated for as long as configured, EngineDead."""
        self._running()
        started = time.monotonic()
        silent = self._ranks.silent_since(started - _FRESH_SECONDS)
        try:
            async with asyncio.timeout(self._settings.probe_seconds):
                await gather_or_cancel(map(self._one_token, silent))
        except TimeoutError as error:
            # A full engine lets the probe wait, and goes on with what came before.
            if set(silent) & set(self._ranks.silent_since(started)):
                raise Unavailable("The language-model engine did not answer in time.") from error

    async def _one_token(self, rank: int) -> None:
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=1, seed=0)
        prompt = tuple(self._bundle.prompts.instruct("Ready?"))
        async for _ in self._generate(Generation(f"probe-{uuid.uuid4().hex}", prompt, Kind.TEXT, sampling), rank):
            pass

    def _check_room(self, prompt: int, generated: int) -> None:
        room = self._max_model_len - generated
        if prompt > room:
            raise InvalidRequest(
                f"The prompt has {prompt} tokens; with {generated} to generate, at most {max(room, 0)} fit.",
                code="prompt_too_long",
            )

    def _running(self) -> AsyncLLM:
        if self._llm is None:
            raise Unavailable("The language-model engine is not running.")
        if self._llm.errored:
            raise EngineDead("The language-model engine has stopped.")
        return self._llm

    async def close(self) -> None:
        """Stop the engine's processes."""
        llm, self._llm = self._llm, None
        if llm is not None:
            # vLLM ends its process first, and its reader then reports that as a failure.
            if llm.output_handler is not None:
                llm.output_handler.cancel()
            llm.output_processor.propagate_error(EngineDeadError())
            await asyncio.to_thread(llm.shutdown, _STOP_SECONDS)
        if self._sockets_are_ours:
            shutil.rmtree(self._sockets, ignore_errors=True)
