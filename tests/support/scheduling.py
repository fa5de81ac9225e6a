"""vLLM's scheduler with a core that computes nothing: what runs in a step, and ids that say if pairs were whole."""

import copy
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from app.engine.rows import Mask, PairRow
from app.settings import EngineSettings
from models.bundle import load

BUNDLE = Path(__file__).parents[2] / "models" / "bundles" / "demo"
LOW, HIGH = 1000, 2000


@cache
def _config() -> Any:
    from app.engine.vllm_arguments import engine_arguments

    return engine_arguments(load(BUNDLE), EngineSettings(enforce_eager=True, max_num_seqs=8)).create_engine_config()


@dataclass(frozen=True)
class Shape:
    """What a scheduler has to share out."""

    slots: int = 8
    budget: int = 256
    blocks: int = 200
    block_size: int = 4
    chunked: bool = True
    caching: bool = True
    policy: str = "priority"
    overlapped: bool = False
    longest: int = 128


def scheduler(shape: Shape) -> Any:
    from vllm.utils.hashing import sha256
    from vllm.v1.core.kv_cache_utils import init_none_hash
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
    from vllm.v1.structured_output import StructuredOutputManager

    from app.engine.pairs import PairAsyncScheduler, PairScheduler

    init_none_hash(sha256)
    config = copy.deepcopy(_config())
    config.model_config.max_model_len = shape.longest
    scheduling = config.scheduler_config
    scheduling.max_num_seqs, scheduling.max_num_batched_tokens = shape.slots, shape.budget
    scheduling.enable_chunked_prefill, scheduling.policy = shape.chunked, shape.policy
    scheduling.async_scheduling = shape.overlapped
    config.cache_config.enable_prefix_caching = shape.caching
    config.cache_config.block_size, config.cache_config.num_gpu_blocks = shape.block_size, shape.blocks
    spec = FullAttentionSpec(block_size=shape.block_size, num_kv_heads=1, head_size=8, dtype=torch.float32)
    cached = KVCacheConfig(
        num_blocks=shape.blocks, kv_cache_tensors=[], kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)]
    )
    kind = PairAsyncScheduler if shape.overlapped else PairScheduler
    return kind(config, cached, StructuredOutputManager(config), block_size=shape.block_size, log_stats=True)


def request(name: str, prompt: list[int], tokens: int, *, row: PairRow | None = None, **members: Any) -> Any:
    from vllm import SamplingParams
    from vllm.utils.hashing import sha256
    from vllm.v1.core.kv_cache_utils import get_request_block_hasher
    from vllm.v1.request import Request

    size = members.pop("block_size", 4)
    extra = {} if row is None else Mask(LOW, HIGH).extra_args() | row.extra_args()
    sampling = SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True, extra_args=extra or None)
    return Request(name, prompt, sampling, None, block_hasher=get_request_block_hasher(size, sha256), **members)


def pair(name: str, asked: list[int], without: list[int], tokens: int, **members: Any) -> tuple[Any, Any]:
    """Both rows of a guided drawing: the conditional one is called as the pair is."""
    return (
        request(name, asked, tokens, row=PairRow(name, True, 2.0), **members),
        request(f"{name}-without", without, tokens, row=PairRow(name, False, 2.0), **members),
    )


def expected(name: str, count: int) -> list[int]:
    """The ids of a request, which depend on its pair alone."""
    name = name.removesuffix("-without")
    return [LOW + (sum(map(ord, name)) * 31 + step * 7) % (HIGH - LOW) for step in range(count)]


@dataclass
class Core:
    """Steps a scheduler as vLLM's core does: overlapped, a step is scheduled before the last one's ids are in."""

    shape: Shape
    scheduler: Any = None
    ids: dict[str, list[int]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, Any] = field(default_factory=dict)
    most_running: int = 0
    _flying: deque[Any] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.scheduler = self.scheduler or scheduler(self.shape)

    def add(self, *requests: Any) -> None:
        for one in requests:
            self.scheduler.add_request(one)

    def abort(self, *names: str) -> None:
        from vllm.v1.request import RequestStatus

        self.scheduler.finish_requests(list(names), RequestStatus.FINISHED_ABORTED)
        self.ended |= dict.fromkeys(names, "abort")

    def step(self) -> set[str]:
        """One step; the names of what was computed in it."""
        output = self.scheduler.schedule()
        known = self.scheduler.requests
        self.most_running = max(self.most_running, len(self.scheduler.running))
        # How many ids each row has written that is drawn from in this step.
        drawn = {
            name: known[name].num_output_tokens + max(0, known[name].num_output_placeholders - 1)
            for name in output.num_scheduled_tokens
            if not known[name].is_prefill_chunk
        }
        self._flying.append((output, {name: self._id(name, drawn) for name in drawn}))
        if len(self._flying) > self.shape.overlapped or not output.num_scheduled_tokens:
            self._finish()
        return set(output.num_scheduled_tokens)

    def _id(self, name: str, drawn: dict[str, int]) -> int:
        """As the logits processor: id 0 for a row of a pair whose other row is not drawn from at the same place."""
        twin = self.scheduler._twins.get(name)
        known = self.scheduler.requests[name]
        if PairRow.from_params(known.sampling_params) and (twin is None or drawn.get(twin.request_id) != drawn[name]):
            return 0
        return expected(name, drawn[name] + 1)[-1]

    def _finish(self) -> None:
        from vllm.v1.outputs import ModelRunnerOutput

        output, ids = self._flying.popleft()
        names = list(output.num_scheduled_tokens)
        result = ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: place for place, name in enumerate(names)},
            sampled_token_ids=[[ids[name]] if name in ids else [] for name in names],
        )
        for client in self.scheduler.update_from_output(output, result).values():
            for part in client.outputs:
                self.ids.setdefault(part.request_id, []).extend(part.new_token_ids)
                if part.finish_reason is not None:
                    self.ended[part.request_id] = str(part.finish_reason)
                    self.reasons[part.request_id] = part.stop_reason

    def run(self, steps: int = 5000) -> int:
        """Step until nothing is left; says how often. Raises AssertionError where that takes too long."""
        for count in range(steps):
            if not self.scheduler.has_requests() and not self._flying:
                return count
            if self.scheduler.has_requests():
                self.step()
            else:
                self._finish()
        raise AssertionError(f"not done after {steps} steps: {self.left()}")

    def left(self) -> dict[str, Any]:
        """What the scheduler still knows of; empty after all has ended."""
        own = self.scheduler
        known = {
            name: getattr(own, name)
            for name in ("requests", "running", "_parts", "_twins", "_alone", "_aside", "_lost")
            if getattr(own, name)
        }
        used = own.kv_cache_manager.block_pool.num_gpu_blocks - 1
        used -= own.kv_cache_manager.block_pool.get_num_free_blocks()
        return known | ({"blocks": used} if used else {})
