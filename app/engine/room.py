"""What running requests need of the KV cache in a step, asked before vLLM's scheduler finds out, and what they may take
from the prefix cache.
"""

from typing import TYPE_CHECKING

from vllm.v1.core.sched.request_queue import SchedulingPolicy
from vllm.v1.core.sched.scheduler import Scheduler

from app.engine.rows import scored_from

if TYPE_CHECKING:
    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.request import Request


def left(request: "Request") -> int:
    """How many tokens of a request are still to be computed before an id follows them."""
    return int(request.num_tokens + request.num_output_placeholders - request.num_computed_tokens)


class RoomScheduler(Scheduler):
    """vLLM's scheduler, which can say what it would preempt, and computes every id of a prompt that is scored."""

    def _get_local_prefix_cache_hit(self, request: "Request") -> "tuple[KVCacheBlocks, int, int, bool]":
        blocks, count, boundary, diverged = super()._get_local_prefix_cache_hit(request)
        first = scored_from(request.sampling_params)
        # How likely an id is shows where the one before it is computed.
        if first is not None and count >= first:
            count = max(0, first - 1) // self.block_size * self.block_size
            blocks = self.kv_cache_manager.truncate_computed_blocks(blocks, count)
        return blocks, count, boundary, diverged

    def _blocks(self, request: "Request", tokens: int) -> int:
        """How many more blocks a request needs to hold so many tokens."""
        tokens = min(tokens, self.max_model_len)
        return int(
            self.kv_cache_manager.coordinator.get_num_blocks_to_allocate(
                request_id=request.request_id,
                num_tokens=tokens,
                new_computed_blocks=self.kv_cache_manager.empty_kv_cache_blocks.blocks,
                num_encoder_tokens=0,
                total_computed_tokens=request.num_computed_tokens,
                num_local_computed_tokens=request.num_computed_tokens,
                num_tokens_main_model=tokens,
            )
        )

    def _fit(self, *requests: "Request") -> bool:
        """Whether there are slots and blocks for all of these as they are, as if nothing were in the prefix cache."""
        if len(self.running) + self.num_waiting_for_streaming_input + len(requests) > self.max_num_active_reqs:
            return False
        watermark = self.kv_cache_manager.watermark_blocks if self.running else 0
        needed = sum(self._blocks(request, request.num_tokens) for request in requests) + watermark
        return bool(needed <= self.kv_cache_manager.block_pool.get_num_free_blocks())

    def _victim(self) -> "Request | None":
        """What has to go first, by the policy, for the others to take their next tokens; None where all can.

        Of a prompt that is read in parts, all that one step may read is counted.
        """
        budget = self.max_num_scheduled_tokens
        needed = sum(
            self._blocks(request, request.num_computed_tokens + min(left(request), budget)) for request in self.running
        )
        if not self.running or needed <= self.kv_cache_manager.block_pool.get_num_free_blocks():
            return None
        ranked = self.policy == SchedulingPolicy.PRIORITY
        return max(self.running, key=lambda request: (request.priority if ranked else 0, request.arrival_time))
