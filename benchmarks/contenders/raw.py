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

from vllm import LLM
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

    def codes(self, work: Work) -> list[list[int]]:
        """Generate; codes of each prompt, checked to be image ids and nothing else. Raises ValueError, RuntimeError."""
        count = work.tokens_of_image(self._bundle.image_tokens)
        sampling = [
            sampling_parameters(
                Kind.IMAGE, Sampling(work.temperature, work.top_p, count, seed), self._bundle.vocabulary
            )
            for seed in work.seeds
        ]
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


@contextlib.contextmanager
def opened(bundle: Bundle, device: str, settings: EngineSettings, cache: Path) -> Iterator[Handler]:
    """A loaded ceiling, for `protocol.serve`."""
    ceiling = Ceiling(bundle, device, settings, cache)
    try:
        yield ceiling
    finally:
        ceiling.close()
