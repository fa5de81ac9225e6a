"""What vLLM is told: the engine's arguments for a bundle, and the parameters of a generation."""

import copy
import json
from collections.abc import Sequence

from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs import TokensPrompt
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from app.engine import gpt_neox
from app.engine.protocol import Generation, Kind, Marking, Sampling
from app.engine.rows import Mask, PairRow, draw_args, marking_args, scored_args
from app.engine.sampling import TokenDraw
from app.settings import EngineSettings
from models.bundle import Bundle
from models.vocabulary import Vocabulary


def engine_arguments(bundle: Bundle, settings: EngineSettings) -> AsyncEngineArgs:
    """The engine's arguments for a bundle, with the mask and the scheduler for the model runner that they lead to."""
    own = settings.model_class == "own" or (settings.model_class == "auto" and current_platform.is_cpu())
    if own:
        gpt_neox.register()
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
        data_parallel_size=settings.data_parallel_size,
        data_parallel_size_local=settings.data_parallel_size,
        data_parallel_address="127.0.0.1",
        enable_prefix_caching=settings.prefix_caching,
        quantization=settings.quantization,
        attention_backend=None if settings.attention == "auto" else settings.attention,
        **({} if settings.cuda_graphs else {"compilation_config": {"cudagraph_mode": "NONE"}}),
        disable_log_stats=False,
        enable_log_requests=False,
        use_tqdm_on_load=False,
    )
    config = config_of(arguments)
    if current_platform.is_cpu():
        # No chunked prefill on a CPU: vLLM 0.32 samples an id that is discarded after a partial prefill and rewinds the
        # request's generator, which CPU generators do not support: the engine crashes.
        arguments.enable_chunked_prefill = False
        if settings.tensor_parallel_size == 1:
            # vLLM's default executor on a CPU is another process, for which the engine spins on a processor while it
            # waits. vLLM refuses the name `uni` there, since it cannot bind threads; ours are not bound (`nobind`).
            arguments.distributed_executor_backend = UniProcExecutor
        # vLLM's own are of 128 tokens: a prompt of 300 found at most two of them in the prefix cache. Blocks of 32 are
        # the smallest that its vector kernel takes.
        arguments.block_size = 32
        arguments.max_num_batched_tokens = max(
            config.scheduler_config.max_num_batched_tokens, config.model_config.max_model_len
        )
    if own:
        worker = "worker.CpuWorker" if current_platform.is_cpu() else "gpu_worker.GpuWorker"
        arguments.worker_cls = f"app.engine.{worker}"
    runner = "V2" if config.use_v2_model_runner else "V1"
    arguments.logits_processors = [f"app.engine.masking:TextImageMask{runner}"]
    asynchronous = "Async" if config.scheduler_config.async_scheduling else ""
    arguments.scheduler_cls = f"app.engine.pairs.Pair{asynchronous}Scheduler"
    return arguments


def config_of(arguments: AsyncEngineArgs) -> VllmConfig:
    """VLLM's configuration for arguments, which stay as they are: vLLM writes a rank into them, and refuses it then."""
    return copy.copy(arguments).create_engine_config()


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


def sampling_parameters(
    kind: Kind,
    sampling: Sampling,
    vocabulary: Vocabulary,
    row: PairRow | None = None,
    marking: Marking | None = None,
    scored: Sequence[int] = (),
    top_logprobs: int | None = None,
    columns: int = 1,
) -> SamplingParams:
    """The engine's parameters of one generation, or of one `row` of a guided one. On a CPU, and of guided ones
    everywhere, our logits processor draws the ids. Of the ids `scored` vLLM says how likely they are, by the logits
    before that; unlike for `prompt_logprobs` it reads its prefix cache. `top_logprobs` is as of a generation.
    Of an image, ids come by rows of `columns`, behind the first: nothing is done with less than a row.
    """
    image = kind is Kind.IMAGE
    mask = masks_of(vocabulary).get(kind)
    extra = {} if mask is None else mask.extra_args()
    if row is not None:
        extra |= row.extra_args()
    if marking is not None:
        extra |= marking_args(marking)
    drawn = sampling.temperature > 0.0
    ours = row is not None or (current_platform.is_cpu() and drawn)
    if ours and drawn:
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
        logprob_token_ids=list(scored) or None,
        logprobs=top_logprobs,
        stream_interval=columns if image else None,
        # Nobody reads what the second row takes: it is what the first takes.
        output_kind=RequestOutputKind.DELTA if row is None or row.conditional else RequestOutputKind.FINAL_ONLY,
        extra_args=extra or None,
    )


def tokens_prompt(ids: Sequence[int], cache_salt: str | None) -> TokensPrompt:
    """A prompt of ids; the prefix cache is shared by those of one salt alone."""
    prompt = TokensPrompt(prompt_token_ids=list(ids))
    if cache_salt is not None:
        prompt["cache_salt"] = cache_salt
    return prompt


def request_of(
    bundle: Bundle, generation: Generation, *, conditional: bool = True
) -> tuple[TokensPrompt, SamplingParams]:
    """The request of a generation; not `conditional`, that of the second row of a guided one."""
    guidance = generation.guidance
    row = None if guidance is None else PairRow(generation.request_id, conditional, guidance.scale)
    ids = generation.prompt if guidance is None or conditional else guidance.prompt
    told = (generation.scored, generation.top_logprobs, bundle.manifest.image.grid[1])
    asked, vocabulary, marking = generation.sampling, bundle.vocabulary, generation.marking
    return (
        tokens_prompt(ids, generation.cache_salt),
        sampling_parameters(generation.kind, asked, vocabulary, row, marking, *told),
    )


def scoring_parameters(first: int, others: int = 0) -> SamplingParams:
    """The engine's parameters of a prompt of which is asked how likely its ids are, from the place `first` on, and the
    `others` that are the likeliest there.

    vLLM keeps its prefix cache from such requests, since it can say nothing of what is in there. Ours may read it: the
    scheduler (`app.engine.room`) sees to it that it ends before the first id that is scored.
    """
    return SamplingParams(
        temperature=0.0,
        # The id that follows is of no use, but vLLM wants to generate one.
        max_tokens=1,
        prompt_logprobs=others,
        detokenize=False,
        skip_reading_prefix_cache=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        extra_args=scored_args(first),
    )
