"""Text requests can only produce text ids, image requests only image ids.

vLLM has two incompatible interfaces for custom logits processors: the V1 model runner's (CPU, or without Triton) and
the V2 model runner's (the default on GPUs). Both classes here wrap the same `Mask`. They run in the engine's process
and read the request's `extra_args["cxr_mask"]`: a mapping with `low` and `high`, the allowed half-open range of ids,
and `banned`, single ids inside the range that are not allowed either. The V1 class also draws: `extra_args["cxr_draw"]`
holds `temperature`, `top_p` and `seed`, and vLLM, asked for the likeliest id, finds no other one left.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as V1LogitsProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as V2LogitsProcessor

from app.engine.sampling import TokenDraw, sample

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.config import VllmConfig

EXTRA_ARG = "cxr_mask"
DRAW_ARG = "cxr_draw"
_REFUSED = float("-inf")


@dataclass(frozen=True)
class Mask:
    """Allowed ids: `low <= id < high` without `banned`."""

    low: int
    high: int
    banned: tuple[int, ...] = ()

    def extra_args(self) -> dict[str, Any]:
        """The value for `SamplingParams.extra_args`."""
        return {EXTRA_ARG: {"low": self.low, "high": self.high, "banned": list(self.banned)}}

    @classmethod
    def from_params(cls, params: "SamplingParams") -> "Mask | None":
        """The mask of a request, None where it has none. Raises ValueError where it is malformed."""
        value = (params.extra_args or {}).get(EXTRA_ARG)
        if value is None:
            return None
        try:
            mask = cls(int(value["low"]), int(value["high"]), tuple(int(i) for i in value["banned"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{EXTRA_ARG} needs low, high and banned") from error
        if not 0 <= mask.low < mask.high:
            raise ValueError(f"{EXTRA_ARG}: {mask.low}..{mask.high} is not a range")
        return mask

    def apply(self, logits: torch.Tensor, rows: torch.Tensor | slice) -> None:
        """Refuse everything outside the mask in `rows` of logits (N, vocabulary), in place."""
        logits[rows, : self.low] = _REFUSED
        logits[rows, self.high :] = _REFUSED
        for token in self.banned:
            logits[rows, token] = _REFUSED


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
    """One request of the V1 batch; `written` grows as ids are generated."""

    mask: Mask | None
    draw: TokenDraw | None
    written: list[int]

    @classmethod
    def from_params(cls, params: "SamplingParams", written: list[int]) -> "_Row | None":
        mask, draw = Mask.from_params(params), _draw_of(params)
        return None if mask is None and draw is None else cls(mask, draw, written)


def draw_args(draw: TokenDraw) -> dict[str, Any]:
    """The value for `SamplingParams.extra_args` that leaves the drawing to `TextImageMaskV1`."""
    return {DRAW_ARG: asdict(draw)}


def _draw_of(params: "SamplingParams") -> TokenDraw | None:
    value = (params.extra_args or {}).get(DRAW_ARG)
    if value is None:
        return None
    try:
        draw = TokenDraw(float(value["temperature"]), float(value["top_p"]), int(value["seed"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{DRAW_ARG} needs temperature, top_p and seed") from error
    if draw.temperature <= 0.0 or not 0.0 < draw.top_p <= 1.0 or draw.seed < 0:
        raise ValueError(f"{DRAW_ARG}: {draw} cannot be drawn by")
    return draw


class TextImageMaskV1(V1LogitsProcessor):
    """The mask and the sampling behind the V1 model runner's interface: state per row of the persistent batch."""

    def __init__(self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, _Row] = {}

    @classmethod
    def validate_params(cls, sampling_params: "SamplingParams") -> None:
        """Refuse a malformed mask or drawing when the request arrives."""
        Mask.from_params(sampling_params)
        _draw_of(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """The mask changes which id is the most likely."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they join, leave and move in the batch."""
        process_dict_updates(self._rows, batch_update, lambda params, _, written: _Row.from_params(params, written))

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Mask logits (batch, vocabulary) in place, and leave one id where a row is to be drawn here."""
        grouped: dict[Mask | None, list[int]] = {}
        for number, row in self._rows.items():
            grouped.setdefault(row.mask, []).append(number)
        for mask, numbers in grouped.items():
            self._apply(logits, mask or Mask(0, logits.shape[1]), sorted(numbers))
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
    """The mask behind the V2 model runner's interface: state per request slot, rows reordered every step."""

    def __init__(self, vllm_config: "VllmConfig", req_states: LogitsProcRequestState) -> None:
        self._device = req_states.device
        self._masks: dict[int, Mask] = {}
        self._layout: tuple[int, ...] = ()
        self._rows = _Rows((), self._device)

    @classmethod
    def validate_params(cls, sampling_params: "SamplingParams") -> None:
        """Refuse a malformed mask when the request arrives, and a drawing that would silently be the likeliest id."""
        Mask.from_params(sampling_params)
        if _draw_of(sampling_params) is not None:
            raise ValueError(f"{DRAW_ARG} is drawn by the V1 model runner's class only")

    def add_request(self, req_idx: int, sampling_params: "SamplingParams") -> bool:
        """Take over a slot; whatever its last occupant left is replaced."""
        mask = Mask.from_params(sampling_params)
        self._masks.pop(req_idx, None)
        if mask is not None:
            self._masks[req_idx] = mask
        self._layout = ()
        return mask is not None

    def apply(self, logits: torch.Tensor, ctx: LogitsContext) -> torch.Tensor:
        """Mask logits (rows, vocabulary) in place; without speculative decoding a request owns one row."""
        layout = tuple(int(slot) for slot in ctx.idx_mapping_np)
        if layout != self._layout:
            masks = ((row, self._masks[slot]) for row, slot in enumerate(layout) if slot in self._masks)
            self._rows, self._layout = _Rows(masks, self._device), layout
        self._rows.apply(logits)
        return logits
