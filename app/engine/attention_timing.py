"""Times one attention kernel: `python -m app.engine.attention_timing`, a process of its own for each, since a kernel
that does not fit a card may end the process, and a GPU's memory is free again only then.

A few layers of the bundle's model with random weights decode behind prompts as long as an image. What is not attention
is the same for every kernel.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams
from vllm.config import VllmConfig
from vllm.inputs import TokensPrompt
from vllm.platforms import current_platform
from vllm.version import __version__

from app.engine import parent
from app.engine.attention import BATCHES, Geometry, Timing

_LAYERS = 4
_ROUNDS = 3


def geometry_of(config: VllmConfig) -> Geometry:
    """What a timing of an engine's kernel holds for."""
    model, parallel = config.model_config, config.parallel_config
    return Geometry(
        card=current_platform.get_device_name(),
        vllm=__version__,
        head_size=model.get_head_size(),
        heads=model.get_num_attention_heads(parallel),
        key_value_heads=model.get_num_kv_heads(parallel),
        dtype=str(model.dtype).removeprefix("torch."),
    )


def timed(model: Path, dtype: str, kernel: str | None, prompt: int, tokens: int, **engine: Any) -> Timing:
    """Seconds of a token with `kernel`, None for vLLM's choice, by sequences at once: medians of three. `engine` are
    more of vLLM's arguments that the service's engine has.
    """
    llm = LLM(
        model=str(model),
        load_format="dummy",
        hf_overrides={"num_hidden_layers": _LAYERS},
        skip_tokenizer_init=True,
        # vLLM would make bf16 of it, which a CPU may have to emulate.
        dtype="float32" if dtype == "auto" and current_platform.is_cpu() else dtype,
        max_num_seqs=max(BATCHES),
        max_model_len=prompt + tokens,
        max_num_batched_tokens=max(BATCHES) * prompt,
        enable_prefix_caching=False,
        enable_chunked_prefill=False,
        attention_backend=kernel,
        disable_log_stats=True,
        **engine,
    )
    found = {count: _seconds(llm, count, prompt, tokens) for count in BATCHES}
    llm.llm_engine.engine_core.shutdown()
    return Timing(geometry=geometry_of(llm.llm_engine.vllm_config), seconds=found)


def _seconds(llm: LLM, count: int, prompt: int, tokens: int) -> float:
    """What a token takes behind the first: of reading the prompts the same is taken off as of reading them alone."""
    texts = [[1 + (row + place) % 250 for place in range(prompt)] for row in range(count)]
    prompts = [TokensPrompt(prompt_token_ids=text) for text in texts]

    def run(most: int) -> float:
        sampling = SamplingParams(temperature=0.0, max_tokens=most, ignore_eos=True, detokenize=False)
        started = time.perf_counter()
        llm.generate(prompts, sampling, use_tqdm=False)
        return time.perf_counter() - started

    run(tokens)
    rounds = sorted(run(tokens) - run(1) for _ in range(_ROUNDS))
    return max(rounds[_ROUNDS // 2], 1e-6) / (tokens - 1)


def main() -> None:
    """Print what was measured as JSON, the last line of the output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--kernel")
    parser.add_argument("--tensor-parallel-size", type=int, default=1)
    parser.add_argument("--quantization")
    parser.add_argument("--prompt", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=64)
    given = parser.parse_args()
    # This process ends with the command that started it, and the engine's with this one.
    parent.register()
    os.environ[parent.GATEWAY] = str(os.getpid())
    # vLLM's engine writes to the standard output, too.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = {"tensor_parallel_size": given.tensor_parallel_size, "quantization": given.quantization}
    found = timed(given.model, given.dtype, given.kernel, given.prompt, given.tokens, **engine)
    print(json.dumps(found.model_dump()), file=output, flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
