"""Text requests can only produce text ids, image requests only image ids; guided drawings are combined here.

vLLM has two incompatible interfaces for custom logits processors: the V1 model runner's (CPU, or without Triton) and
the V2 model runner's (the default on GPUs). Both classes here read the request's `extra_args` (`app.engine.rows`) and
run in the engine's process. The V1 class also draws, and vLLM, asked for the likeliest id, finds no other one left.

The two rows of a guided drawing (Ho and Salimans 2022) are drawn once, by both classes, from
`without + scale * (asked - without)` over the ids of their mask; both take the id. `app.engine.pairs` sees to it that
both are there. Where one is alone nevertheless nothing is drawn: only id 0 is left to it, which its mask refuses, and
the scheduler and `VllmEngine` end the drawing.

Both classes mark drawings (`models.watermark`): the green ids of a row's mask get their strength before it is drawn.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from vllm.v1.sample import sampler as vllm_sampler
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as V1LogitsProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as V2LogitsProcessor

from app.engine.output_rows import OutputRows
from app.engine.row_drawing import Drawn, Row, draw, draw_pairs, mark_alone
from app.engine.rows import DRAW_ARG, Mask, PairRow, check, draw_of

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig

_REFUSED = float("-inf")


class _Rows:
    """Row numbers grouped by mask, so that each mask is applied once a step."""

    def __init__(self, masks: Iterable[tuple[int, Mask]], device: torch.device) -> None:
        grouped: dict[Mask, list[int]] = {}
        for row, mask in masks:
            grouped.setdefault(mask, []).append(row)
        self._groups = [(mask, len(rows), torch.tensor(rows, device=device)) for mask, rows in grouped.items()]

    def apply(self, logits: torch.Tensor) -> None:
        for mask, count, rows in self._groups:
            # One mask for the whole batch is the common case; a slice writes without gathering rows.
            mask.apply(logits, slice(None) if count == logits.shape[0] else rows)


def _ranks(logits: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return (logits >= values).sum(-1)


def _leave_one(logits: torch.Tensor, rows: torch.Tensor | Sequence[int], ids: torch.Tensor) -> None:
    """Leave only `ids` (R,) in `rows` (R,) of logits (N, vocabulary), in place."""
    logits[rows] = _REFUSED
    logits[rows, ids] = 0.0


def _leave_pairs(logits: torch.Tensor, drawn: Drawn) -> None:
    """Leave one id in both rows of every pair of logits (N, vocabulary), id 0 in one that is alone, in place."""
    if len(drawn.rows):
        _leave_one(logits, drawn.rows, drawn.ids)
    if drawn.alone:
        _leave_one(logits, drawn.alone, torch.zeros(len(drawn.alone), dtype=torch.int64, device=logits.device))


class TextImageMaskV1(V1LogitsProcessor):
    """The mask and the sampling behind the V1 model runner's interface: state per row of the persistent batch."""

    def __init__(self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, Row] = {}
        self.output_rows = OutputRows()
        # vLLM compiles it at the first request for a probability, and generates nothing meanwhile.
        vllm_sampler.batched_count_greater_than = _ranks

    @classmethod
    def validate_params(cls, sampling_params: "SamplingParams") -> None:
        """Refuse a malformed mask, drawing or pair when the request arrives."""
        check(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """The mask changes which id is the most likely."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they join, leave and move in the batch; vLLM calls it before every step."""
        process_dict_updates(self._rows, batch_update, lambda params, _, written: Row.from_params(params, written))
        if batch_update is not None:
            self.output_rows.size = batch_update.batch_size
        self.output_rows.expect({number: row.mask for number, row in self._rows.items() if row.mask is not None})

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Mask logits (batch, vocabulary) in place, and leave one id where a row is to be drawn here."""
        steps = {number: len(row.written) for number, row in self._rows.items()}
        mark_alone(logits, self._rows, steps)
        guided = {number: row for number, row in self._rows.items() if row.guided is not None}
        for mask, numbers in self._singles().items():
            self._apply(logits, mask or Mask(0, logits.shape[1]), numbers)
        if guided:
            _leave_pairs(logits, draw_pairs(logits, guided, steps))
        return logits

    def draw(self, logits: torch.Tensor, base: int) -> torch.Tensor:
        """An id for every row of logits (N, W) whose columns are the ids from `base` on, those of every row's mask.

        int64 (N,); 0, which no such mask allows, where a guided row is alone.
        """
        steps = {number: len(row.written) for number, row in self._rows.items()}
        mark_alone(logits, self._rows, steps, base)
        singles = self._singles()
        for mask, rows in singles.items():
            for token in mask.banned if mask is not None else ():
                logits[rows, token - base] = _REFUSED
        numbers = sorted(number for rows in singles.values() for number in rows)
        allowed = logits if len(numbers) == len(logits) else logits[numbers]
        ids = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        if numbers:
            draws = [self._rows[number].draw for number in numbers]
            ids[numbers] = draw(allowed, draws, [steps[number] for number in numbers]) + base
        if len(numbers) < len(logits):
            guided = {number: row for number, row in self._rows.items() if row.guided is not None}
            drawn = draw_pairs(logits, guided, steps, base)
            ids[drawn.rows] = drawn.ids
        return ids

    def _singles(self) -> dict[Mask | None, list[int]]:
        """The numbers of the rows that belong to no pair, in order, by their mask."""
        grouped: dict[Mask | None, list[int]] = {}
        for number, row in sorted(self._rows.items()):
            if row.guided is None:
                grouped.setdefault(row.mask, []).append(number)
        return grouped

    def _apply(self, logits: torch.Tensor, mask: Mask, numbers: list[int]) -> None:
        # A slice reads and writes without gathering rows.
        rows = slice(None) if len(numbers) == logits.shape[0] else torch.tensor(numbers, device=logits.device)
        mask.apply(logits, rows)
        drawn = [number for number in numbers if self._rows[number].draw is not None]
        if not drawn:
            return
        at = torch.tensor(drawn)
        columns = slice(mask.low, mask.high)
        allowed = logits[:, columns] if len(drawn) == logits.shape[0] else logits[at, columns]
        requests = [self._rows[number] for number in drawn]
        taken = draw(allowed, [request.draw for request in requests], [len(request.written) for request in requests])
        _leave_one(logits, at, taken + mask.low)


class TextImageMaskV2(V2LogitsProcessor):
    """The mask behind the V2 model runner's interface: state per request slot, rows reordered every step.

    vLLM samples here, except the rows of a guided drawing: its own sampler draws by a row's position, in which the two
    rows differ. Guidance was tried on tensors of a CPU only: not run on a GPU are the exactness of the drawn ids, the
    scheduling of pairs under asynchronous scheduling, and its speed; to draw waits for the device, once a pair.
    """

    def __init__(self, vllm_config: "VllmConfig", req_states: LogitsProcRequestState) -> None:
        self._device = req_states.device
        self._states = req_states
        self._slots: dict[int, Row] = {}
        self._layout: tuple[int, ...] = ()
        self._rows = _Rows((), self._device)

    @classmethod
    def validate_params(cls, sampling_params: "SamplingParams") -> None:
        """Refuse what is malformed when the request arrives, and a drawing that would silently be the likeliest id."""
        check(sampling_params)
        if draw_of(sampling_params) is not None and PairRow.from_params(sampling_params) is None:
            raise ValueError(f"{DRAW_ARG} is drawn by the V1 model runner's class only, but for guided drawings")

    def add_request(self, req_idx: int, sampling_params: "SamplingParams") -> bool:
        """Take over a slot; whatever its last occupant left is replaced."""
        row = Row.from_params(sampling_params)
        self._slots.pop(req_idx, None)
        if row is not None:
            self._slots[req_idx] = row
        self._layout = ()
        return row is not None

    def apply(self, logits: torch.Tensor, ctx: LogitsContext) -> torch.Tensor:
        """Mask logits (rows, vocabulary) in place; without speculative decoding a request owns one row."""
        layout = tuple(int(slot) for slot in ctx.idx_mapping_np)
        if layout != self._layout:
            masks = (
                (row, mask)
                for row, slot in enumerate(layout)
                if slot in self._slots and (mask := self._slots[slot].mask) is not None
            )
            self._rows, self._layout = _Rows(masks, self._device), layout
        ours = {
            row: self._slots[slot]
            for row, slot in enumerate(layout)
            if slot in self._slots and (self._slots[slot].guided is not None or self._slots[slot].marked is not None)
        }
        # Of what is refused, the difference is no number; pairs are combined within their masks alone.
        self._rows.apply(logits)
        if ours:
            lengths, prompts = ctx.seq_lens_upper_bound_np, self._states.prompt_len.np
            steps = {row: int(lengths[row] - prompts[layout[row]]) for row in ours}
            mark_alone(logits, ours, steps)
            guided = {number: row for number, row in ours.items() if row.guided is not None}
            if guided:
                _leave_pairs(logits, draw_pairs(logits, guided, steps))
        return logits
