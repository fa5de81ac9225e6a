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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from vllm.v1.sample import sampler as vllm_sampler
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as V1LogitsProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as V2LogitsProcessor

from app.engine.protocol import Marking
from app.engine.rows import DRAW_ARG, Mask, PairRow, check, draw_of, marking_of
from app.engine.sampling import TokenDraw, sample

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


@dataclass
class _Row:
    """One request of a batch; `written` grows as ids are generated (V1)."""

    mask: Mask | None
    draw: TokenDraw | None
    guided: PairRow | None
    marked: Marking | None = None
    written: Sequence[int] = ()

    @classmethod
    def from_params(cls, params: "SamplingParams", written: Sequence[int] = ()) -> "_Row | None":
        mask, draw, pair = Mask.from_params(params), draw_of(params), PairRow.from_params(params)
        row = cls(mask, draw, pair, marking_of(params), written)
        return None if row.mask is None and row.draw is None and row.guided is None else row


def _mark(logits: torch.Tensor, rows: Sequence[_Row], steps: Sequence[int]) -> None:
    """Add the marks of those of `rows` that have one to logits of their masks' ids (N, W), in place."""
    marked = [(place, row.marked) for place, row in enumerate(rows) if row.marked is not None]
    if marked:
        biases = [mark.watermark.bias([mark.first + steps[place]], logits.shape[1])[0] for place, mark in marked]
        logits[[place for place, _ in marked]] += torch.from_numpy(np.stack(biases)).to(logits)


def _mark_alone(logits: torch.Tensor, rows: Mapping[int, _Row], steps: Mapping[int, int]) -> None:
    """The same of all rows that belong to no pair, by their number in logits (N, vocabulary), in place."""
    together: dict[Mask, list[int]] = {}
    for number, row in rows.items():
        if row.marked is not None and row.guided is None and row.mask is not None:
            together.setdefault(row.mask, []).append(number)
    for mask, numbers in together.items():
        allowed = logits[numbers, mask.low : mask.high]
        _mark(allowed, [rows[number] for number in numbers], [steps[number] for number in numbers])
        logits[numbers, mask.low : mask.high] = allowed


def _draw_pairs(logits: torch.Tensor, rows: Mapping[int, _Row], steps: Mapping[int, int]) -> None:
    """Leave one id in both rows of every pair of logits (N, vocabulary), id 0 in one that is alone, in place.

    `steps` has how many ids each row of `rows` has written.
    """
    pairs: dict[str, dict[bool, int]] = {}
    for number, row in rows.items():
        if row.guided is not None:
            pairs.setdefault(row.guided.pair, {})[row.guided.conditional] = number
    together: dict[Mask, list[tuple[int, int]]] = {}
    alone: list[int] = []
    for sides in pairs.values():
        asked, without = sides.get(True), sides.get(False)
        mask = None if asked is None else rows[asked].mask
        if asked is None or without is None or mask is None or steps[asked] != steps[without]:
            alone += sides.values()
        else:
            together.setdefault(mask, []).append((asked, without))
    for mask, found in together.items():
        both = torch.tensor(found, device=logits.device)
        asked_for, base = logits[both, mask.low : mask.high].unbind(1)
        leading = [rows[asked] for asked, _ in found]
        scales = torch.tensor([row.guided.scale for row in leading if row.guided is not None], device=logits.device)
        combined = base + scales[:, None] * (asked_for - base)
        reached = [steps[asked] for asked, _ in found]
        _mark(combined, leading, reached)
        drawn = _drawn(combined, [row.draw for row in leading], reached)
        logits[both] = _REFUSED
        logits[both, (drawn + mask.low)[:, None]] = 0.0
    if alone:
        logits[alone] = _REFUSED
        logits[alone, 0] = 0.0


def _drawn(logits: torch.Tensor, draws: Sequence[TokenDraw | None], steps: Sequence[int]) -> torch.Tensor:
    """A column of each row of logits (N, W); the likeliest where it is not to be drawn: int64 (N,)."""
    taken = logits.argmax(-1)
    at = [place for place, draw in enumerate(draws) if draw is not None]
    if at:
        taken[at] = sample(logits[at], [draw for draw in draws if draw is not None], [steps[place] for place in at])
    return taken


def _ranks(logits: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return (logits >= values).sum(-1)


class TextImageMaskV1(V1LogitsProcessor):
    """The mask and the sampling behind the V1 model runner's interface: state per row of the persistent batch."""

    def __init__(self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, _Row] = {}
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
        """Follow requests as they join, leave and move in the batch."""
        process_dict_updates(self._rows, batch_update, lambda params, _, written: _Row.from_params(params, written))

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Mask logits (batch, vocabulary) in place, and leave one id where a row is to be drawn here."""
        steps = {number: len(row.written) for number, row in self._rows.items()}
        _mark_alone(logits, self._rows, steps)
        grouped: dict[Mask | None, list[int]] = {}
        guided: dict[int, _Row] = {}
        for number, row in self._rows.items():
            if row.guided is None:
                grouped.setdefault(row.mask, []).append(number)
            else:
                guided[number] = row
        for mask, numbers in grouped.items():
            self._apply(logits, mask or Mask(0, logits.shape[1]), sorted(numbers))
        if guided:
            _draw_pairs(logits, guided, steps)
        return logits

    def _apply(self, logits: torch.Tensor, mask: Mask, numbers: list[int]) -> None:
        # A slice reads and writes without gathering rows.
        rows = slice(None) if len(numbers) == logits.shape[0] else torch.tensor(numbers, device=logits.device)
        mask.apply(logits, rows)
        drawn = [number for number in numbers if self._rows[number].draw is not None]
        if not drawn:
            return
        requests = [self._rows[number] for number in drawn]
        at = torch.tensor(drawn)
        allowed = logits[:, mask.low : mask.high] if len(drawn) == logits.shape[0] else logits[at, mask.low : mask.high]
        draws = [request.draw for request in requests if request.draw is not None]
        taken = sample(allowed, draws, [len(request.written) for request in requests])
        logits[at] = _REFUSED
        logits[at, taken + mask.low] = 0.0


class TextImageMaskV2(V2LogitsProcessor):
    """The mask behind the V2 model runner's interface: state per request slot, rows reordered every step.

    vLLM samples here, except the rows of a guided drawing: its own sampler draws by a row's position, in which the two
    rows differ. Guidance was tried on tensors of a CPU only: not run on a GPU are the exactness of the drawn ids, the
    scheduling of pairs under asynchronous scheduling, and its speed; to draw waits for the device, once a pair.
    """

    def __init__(self, vllm_config: "VllmConfig", req_states: LogitsProcRequestState) -> None:
        self._device = req_states.device
        self._states = req_states
        self._slots: dict[int, _Row] = {}
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
        row = _Row.from_params(sampling_params)
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
            _mark_alone(logits, ours, steps)
            guided = {number: row for number, row in ours.items() if row.guided is not None}
            if guided:
                _draw_pairs(logits, guided, steps)
        return logits
