"""The ceiling: vLLM's offline `LLM.generate` under the service's own arguments, environment, sampling and mask, then
one batched decode. What the service loses against it is what HTTP, queues, streaming and micro-batches cost.
"""

import contextlib
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.inputs import TokensPrompt

from app.engine.environment import engine_environment, socket_folder
from app.engine.protocol import Kind, Sampling
from app.engine.vllm_arguments import engine_arguments, sampling_parameters
from app.settings import EngineSettings
from benchmarks.contenders.decoding import Decoder
from benchmarks.contenders.protocol import Done, Handler, Work
from models.bundle import Bundle


class Ceiling:
    """Draws all images of a piece of work at once."""

    def __init__(self, bundle: Bundle, device: str, settings: EngineSettings, cache: Path) -> None:
        self._bundle = bundle
        self._temporary = Path(tempfile.gettempdir())
        self._sockets = socket_folder(self._temporary)
        with engine_environment(settings, cache.resolve(), self._sockets):
            self._llm = LLM(**self._arguments(settings))
        self._decoder = Decoder(bundle, device)

    def _arguments(self, settings: EngineSettings) -> dict[str, Any]:
        arguments = engine_arguments(self._bundle, settings)
        return {field.name: getattr(arguments, field.name) for field in dataclasses.fields(EngineArgs)}

    def _sampling(self, work: Work, count: int, seed: int) -> SamplingParams:
        sampling = Sampling(work.temperature, work.top_p, count, seed)
        return sampling_parameters(Kind.IMAGE, sampling, self._bundle.vocabulary)

    def codes(self, work: Work) -> list[list[int]]:
        """Generate; codes of each prompt, checked to be image ids and nothing else. Raises ValueError, RuntimeError."""
        count = work.tokens_of_image(self._bundle.image_tokens)
        sampling = [self._sampling(work, count, seed) for seed in work.seeds]
        prompts = [TokensPrompt(prompt_token_ids=ids) for ids in work.prompts]
        outputs = self._llm.generate(prompts, sampling, use_tqdm=False)
        drawn = [self._bundle.vocabulary.codes(output.outputs[0].token_ids) for output in outputs]
        if any(len(codes) != count for codes in drawn):
            raise RuntimeError(f"vLLM returned {[len(codes) for codes in drawn]} tokens, not {count}")
        return drawn

    def __call__(self, work: Work) -> Done:
        """Do a piece of work."""
        started = time.perf_counter()
        drawn = self.codes(work)
        generated = time.perf_counter()
        if work.decode:
            self._decoder.decode(drawn)
        finished = time.perf_counter()
        tokens = sum(len(codes) for codes in drawn)
        images = sum(len(codes) == self._bundle.image_tokens for codes in drawn)
        return Done(finished - started, generated - started, finished - generated, images, tokens, len(drawn))

    def close(self) -> None:
        """Stop the engine's process."""
        self._llm.llm_engine.engine_core.shutdown()
        if self._sockets != self._temporary:
            shutil.rmtree(self._sockets, ignore_errors=True)


class PlainVllm(Ceiling):
    """vLLM by its own class of the model, its own sampler, mask, executor and scheduler, as whoever calls it has it.

    It is given what keeps it alive and fast on a CPU: the type of the weights, and prompts that are read whole.
    """

    def _arguments(self, settings: EngineSettings) -> dict[str, Any]:
        ours = super()._arguments(settings.model_copy(update={"model_class": "transformers"}))
        kept = ("model", "skip_tokenizer_init", "dtype", "enforce_eager", "max_num_seqs", "max_model_len")
        return {
            **{name: ours[name] for name in (*kept, "gpu_memory_utilization", "max_num_batched_tokens")},
            "enable_chunked_prefill": ours["enable_chunked_prefill"],
        }

    def _sampling(self, work: Work, count: int, seed: int) -> SamplingParams:
        first = self._bundle.vocabulary.image_offset
        return SamplingParams(
            temperature=work.temperature,
            top_p=work.top_p,
            max_tokens=count,
            seed=seed,
            ignore_eos=True,
            detokenize=False,
            allowed_token_ids=list(range(first, self._bundle.vocabulary.size)),
        )


@contextlib.contextmanager
def opened(
    bundle: Bundle, device: str, settings: EngineSettings, cache: Path, *, plain: bool = False
) -> Iterator[Handler]:
    """A loaded ceiling, for `protocol.serve`; `plain`, vLLM as it comes."""
    ceiling = (PlainVllm if plain else Ceiling)(bundle, device, settings, cache)
    try:
        yield ceiling
    finally:
        ceiling.close()
