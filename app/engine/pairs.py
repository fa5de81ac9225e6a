"""Schedules the two rows of a guided drawing as one, so that both can be drawn from in every step.

vLLM knows single requests. The classes here keep five rules on top of its own scheduler, and leave it as it is where
there is no pair:

1. Until both rows have arrived none waits in the queue; then the conditional row stands there for both, by vLLM's
   policy, and the other stands aside.
2. A pair is let in where there are slots and room in the KV cache for both; until then nobody behind it is, as with
   any request that does not fit. Its second row goes before everybody else, so at most one pair is half in, and what
   it still needs is freed by those that run.
3. All tokens of a row but the last are computed as the budget allows; the last one only in a step in which it is the
   last one of both rows. Such rows stand first, so that no budget comes between them, and from there on each takes one
   token a step.
4. Before a step, room is made for all that runs: what vLLM would preempt goes back to the queue, and its twin with it.
   So nothing is preempted within the step.
5. Where one row ends without the other, the other is never computed again and ends with an error in the next update.
   So does a pair that could never be let in, one whose rows have come apart, and a row that has waited for its twin too
   long.

Not for speculative decoding, pipelines and KV connectors, which schedule in ways that these rules do not cover: there
pairs end with an error.
"""

import time
from typing import TYPE_CHECKING

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.interface import PauseState
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.request import RequestStatus

from app.engine.room import RoomScheduler, left
from app.engine.rows import PairRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.outputs import ModelRunnerOutput
    from vllm.v1.request import Request

_LONGEST_ALONE = 10.0  # seconds; both rows are sent at once
_WAITING = (RequestStatus.WAITING, RequestStatus.PREEMPTED)


class PairScheduler(RoomScheduler):
    """vLLM's scheduler, with the rules above."""

    def __init__(self, *args: "Any", **kwargs: "Any") -> None:
        super().__init__(*args, **kwargs)
        self._parts: dict[str, PairRow] = {}
        self._alone: dict[str, tuple[Request, float]] = {}
        self._twins: dict[str, Request] = {}
        self._aside: set[Request] = set()
        self._lost: dict[str, str] = {}
        self._in_step: frozenset[str] = frozenset()
        self._foreign = bool(self.num_spec_tokens or self.use_pp or self.connector is not None)

    # Arrival and end of rows.

    def _enqueue_waiting_request(self, request: "Request") -> None:
        part = PairRow.from_params(request.sampling_params)
        if part is None:
            super()._enqueue_waiting_request(request)
            return
        self._parts[request.request_id] = part
        twin, _ = self._alone.pop(part.pair, (None, 0.0))
        if twin is None:
            self._alone[part.pair] = (request, time.monotonic())
            return
        self._twins[request.request_id], self._twins[twin.request_id] = twin, request
        leader, second = (request, twin) if part.conditional else (twin, request)
        leader.arrival_time = second.arrival_time = min(request.arrival_time, twin.arrival_time)
        self._aside.add(second)
        super()._enqueue_waiting_request(leader)
        if reason := self._never_fits(leader, second):
            self._lost |= {leader.request_id: reason, second.request_id: reason}

    def _never_fits(self, leader: "Request", second: "Request") -> str | None:
        if self._foreign:
            return "guidance_not_offered"
        roles = {self._parts[row.request_id].conditional for row in (leader, second)}
        if len(roles) < 2 or leader.max_tokens != second.max_tokens:
            return "guidance_rows_differ"
        # The last token of a prompt is held back, and one before it must be there.
        if min(leader.num_prompt_tokens, second.num_prompt_tokens) < 2:
            return "guidance_prompt_too_short"
        blocks = sum(self._blocks(row, row.num_prompt_tokens + row.max_tokens) for row in (leader, second))
        # One block is vLLM's own.
        if self.max_num_active_reqs < 2 or blocks > self.kv_cache_manager.block_pool.num_gpu_blocks - 1:
            return "guidance_too_large"
        return None

    def _free_request(self, request: "Request", delay_free_blocks: bool = False) -> "tuple[Any, Any]":
        part = self._parts.pop(request.request_id, None)
        if part is not None:
            self._lost.pop(request.request_id, None)
            self._aside.discard(request)
            twin = self._twins.pop(request.request_id, None)
            if twin is None:
                self._alone.pop(part.pair, None)
            elif not twin.is_finished():
                self._lost[twin.request_id] = "guidance_row_lost"
        freed: tuple[Any, Any] = super()._free_request(request, delay_free_blocks)
        return freed

    def update_from_output(
        self, scheduler_output: "SchedulerOutput", model_runner_output: "ModelRunnerOutput"
    ) -> "dict[int, EngineCoreOutputs]":
        """As vLLM's, and ends the rows that are lost."""
        outputs: dict[int, EngineCoreOutputs] = super().update_from_output(scheduler_output, model_runner_output)
        for request_id in scheduler_output.num_scheduled_tokens if self._twins else ():
            twin, request = self._twins.get(request_id), self.requests.get(request_id)
            if twin is None or request is None:
                continue
            ids, others = request.output_token_ids[-1:], twin.output_token_ids[-1:]
            # Id 0 is what is left to a row that was alone.
            if ids != others or 0 in ids:
                self._lost.setdefault(request_id, "guidance_rows_differ")
        reasons = dict(self._lost)
        for request in self.finish_requests(set(reasons), RequestStatus.FINISHED_ERROR) if reasons else ():
            ended = EngineCoreOutput(
                request_id=request.request_id,
                new_token_ids=[],
                finish_reason=request.get_finished_reason(),
                stop_reason=reasons[request.request_id],
                events=request.take_events(),
                trace_headers=request.trace_headers,
            )
            outputs.setdefault(request.client_index, EngineCoreOutputs()).outputs.append(ended)
        return outputs

    def get_request_counts(self) -> tuple[int, int]:
        """Requests that run, and those that wait: rows that stand aside, too."""
        running, waiting = super().get_request_counts()
        return running, waiting + len(self._aside) + len(self._alone)

    # One step.

    def schedule(self, throttle_prefills: bool = False) -> "SchedulerOutput":
        """As vLLM's, with rows that are drawn from in this step first."""
        for request, since in self._alone.values():
            if time.monotonic() - since > _LONGEST_ALONE:
                self._lost[request.request_id] = "guidance_row_lost"
        if not self._twins:
            return super().schedule(throttle_prefills)
        self._keep_seconds_behind_leaders()
        pause: PauseState = self.pause_state
        if self._make_room() and pause == PauseState.UNPAUSED:
            # As after any preemption, nobody is let in in this step.
            self._pause_state = PauseState.PAUSED_NEW
        self._in_step = frozenset(request.request_id for request in self.running if self._ready(request))
        self.running.sort(key=lambda request: request.request_id not in self._in_step)
        try:
            return super().schedule(throttle_prefills)
        finally:
            self._pause_state, self._in_step = pause, frozenset()

    def _ready(self, request: "Request") -> bool:
        twin = self._twins.get(request.request_id)
        if twin is None or twin.status != RequestStatus.RUNNING:
            return False
        lost = request.request_id in self._lost or twin.request_id in self._lost
        return not lost and left(request) == left(twin) == 1

    def _reserve_prefill_lookahead(self, request: "Request", num_computed_tokens: int, num_new_tokens: int) -> int:
        """Called by vLLM for each row that it is about to schedule: 0 keeps one that runs out of this step, and lets
        nobody in from one that waits on.
        """
        count = int(super()._reserve_prefill_lookahead(request, num_computed_tokens, num_new_tokens))
        twin = self._twins.get(request.request_id)
        if twin is None or request.request_id in self._in_step:
            return count
        if request.request_id in self._lost:
            return 0
        if request.status in _WAITING and twin in self._aside:
            if not self._fit(request, twin):
                return 0
            self._aside.discard(twin)
            # vLLM empties this queue before the other.
            self.kv_holding_waiting.add_request(twin)
        # In the queue a row does not know yet what was found in the prefix cache.
        return max(0, min(count, left(request) + request.num_computed_tokens - num_computed_tokens - 1))

    def _handle_blocked_waiting_request(self, request: "Request") -> bool:
        twin = self._twins.get(request.request_id)
        if twin is not None:
            if request.request_id in self._lost:
                return False
            if any(row.num_stale_output_tokens and not row.drop_stale_output for row in (request, twin)):
                return False
        return bool(super()._handle_blocked_waiting_request(request))

    def _get_local_prefix_cache_hit(self, request: "Request") -> "tuple[KVCacheBlocks, int, int, bool]":
        blocks, count, boundary, diverged = super()._get_local_prefix_cache_hit(request)
        if request.request_id in self._twins and request.num_tokens - count == 1:
            # The one token left would be held back, and a row that computes nothing cannot be let in.
            count = (count - 1) // self.block_size * self.block_size
            blocks = self.kv_cache_manager.truncate_computed_blocks(blocks, count)
        return blocks, count, boundary, diverged

    def _update_after_schedule(self, scheduler_output: "SchedulerOutput") -> None:
        super()._update_after_schedule(scheduler_output)
        scheduled = scheduler_output.num_scheduled_tokens
        for request_id in scheduled if self._twins else ():
            twin = self._twins.get(request_id)
            if twin is None or self.requests[request_id].is_prefill_chunk:
                continue
            if twin.request_id not in scheduled or twin.is_prefill_chunk:
                self._lost[request_id] = self._lost[twin.request_id] = "guidance_rows_differ"

    # Room in the KV cache.

    def _make_room(self) -> bool:
        """Preempt until the rest can take its next tokens; says whether any was."""
        if not any(request.request_id in self._twins for request in self.running):
            return False
        made = False
        while (victim := self._victim()) is not None:
            twin = self._twins.get(victim.request_id)
            for row in (victim, twin):
                if row is not None and row.status == RequestStatus.RUNNING:
                    self.running.remove(row)
                    self._preempt_request(row, time.monotonic())
            made = True
        return made

    def _preempt_request(self, request: "Request", timestamp: float, drop_stale_output: bool = False) -> None:
        super()._preempt_request(request, timestamp, drop_stale_output)
        self._keep_seconds_behind_leaders([request])

    def _keep_seconds_behind_leaders(self, preempted: "Sequence[Request]" = ()) -> None:
        """Of a pair that is not in, only the conditional row waits in a queue."""
        for request in (*self.kv_holding_waiting, *preempted):
            part, twin = self._parts.get(request.request_id), self._twins.get(request.request_id)
            if part is None or twin is None:
                continue
            second, leader = (twin, request) if part.conditional else (request, twin)
            if second.status in _WAITING and leader.status != RequestStatus.RUNNING:
                self.kv_holding_waiting.remove_requests([second])
                self.waiting.remove_requests([second])
                self._aside.add(second)


class PairAsyncScheduler(PairScheduler, AsyncScheduler):
    """vLLM's asynchronous scheduler, with the rules above."""
