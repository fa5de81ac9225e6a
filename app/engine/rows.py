"""What a row of the engine's batch is told through its request's `extra_args`: its mask, drawing, pair, watermark,
and what of its prompt is scored.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import torch

from app.engine.protocol import Marking
from app.engine.sampling import TokenDraw
from models.watermark import Watermark

T = TypeVar("T")

MASK_ARG = "cxr_mask"
DRAW_ARG = "cxr_draw"
PAIR_ARG = "cxr_guidance"
WATERMARK_ARG = "cxr_watermark"
SCORED_ARG = "cxr_scored"
CONDITIONAL, UNCONDITIONAL = "conditional", "unconditional"
MOST_GUIDANCE = 10.0
_REFUSED = float("-inf")


class Arguments(Protocol):
    """vLLM's `SamplingParams`, as far as it is read here."""

    @property
    def extra_args(self) -> Mapping[str, Any] | None:
        """What a request says to logits processors."""


@dataclass(frozen=True)
class Mask:
    """Allowed ids: `low <= id < high` without `banned`."""

    low: int
    high: int
    banned: tuple[int, ...] = ()

    def extra_args(self) -> dict[str, Any]:
        """The value for `SamplingParams.extra_args`."""
        return {MASK_ARG: {"low": self.low, "high": self.high, "banned": list(self.banned)}}

    @classmethod
    def from_params(cls, params: Arguments) -> "Mask | None":
        """The mask of a request, None where it has none. Raises ValueError where it is malformed."""
        mask = _argument(params, MASK_ARG, cls._read, "low, high and banned")
        if mask is not None and not 0 <= mask.low < mask.high:
            raise ValueError(f"{MASK_ARG}: {mask.low}..{mask.high} is not a range")
        return mask

    @classmethod
    def _read(cls, value: Mapping[str, Any]) -> "Mask":
        return cls(int(value["low"]), int(value["high"]), tuple(int(i) for i in value["banned"]))

    def apply(self, logits: torch.Tensor, rows: torch.Tensor | slice) -> None:
        """Refuse everything outside the mask in `rows` of logits (N, vocabulary), in place."""
        logits[rows, : self.low] = _REFUSED
        logits[rows, self.high :] = _REFUSED
        for token in self.banned:
            logits[rows, token] = _REFUSED


@dataclass(frozen=True)
class PairRow:
    """A row of a guided drawing: the name that both rows share, whether it is the one that is asked for, the scale."""

    pair: str
    conditional: bool
    scale: float

    def extra_args(self) -> dict[str, Any]:
        """The value for `SamplingParams.extra_args`."""
        role = CONDITIONAL if self.conditional else UNCONDITIONAL
        return {PAIR_ARG: {"pair": self.pair, "role": role, "scale": self.scale}}

    @classmethod
    def from_params(cls, params: Arguments | None) -> "PairRow | None":
        """The row's part in a pair, None where it has none. Raises ValueError where it is malformed."""
        row = None if params is None else _argument(params, PAIR_ARG, cls._read, "pair, role and scale")
        if row is not None and not 1.0 <= row.scale <= MOST_GUIDANCE:
            raise ValueError(f"{PAIR_ARG}: a scale of {row.scale} is not in 1..{MOST_GUIDANCE}")
        return row

    @classmethod
    def _read(cls, value: Mapping[str, Any]) -> "PairRow":
        if value["role"] not in (CONDITIONAL, UNCONDITIONAL):
            raise ValueError(f"{PAIR_ARG}: {value['role']!r} is no role")
        return cls(str(value["pair"]), value["role"] == CONDITIONAL, float(value["scale"]))


def marking_args(marking: Marking) -> dict[str, Any]:
    """The value for `SamplingParams.extra_args` that has our processor mark the drawing."""
    mark = marking.watermark
    return {WATERMARK_ARG: {"key": mark.key.hex(), "strength": mark.strength, "first": marking.first}}


def marking_of(params: Arguments) -> Marking | None:
    """How a row is to be marked, None where it is not. Raises ValueError where it is malformed."""
    return _argument(params, WATERMARK_ARG, _read_marking, "key, strength and first")


def _read_marking(value: Mapping[str, Any]) -> Marking:
    return Marking(Watermark(bytes.fromhex(value["key"]), float(value["strength"])), int(value["first"]))


def draw_args(draw: TokenDraw) -> dict[str, Any]:
    """The value for `SamplingParams.extra_args` that leaves the drawing to our processor."""
    return {DRAW_ARG: asdict(draw)}


def draw_of(params: Arguments) -> TokenDraw | None:
    """How a row is to be drawn, None where vLLM samples it. Raises ValueError where it is malformed."""
    draw = _argument(params, DRAW_ARG, _read_draw, "temperature, top_p and seed")
    if draw is not None and (draw.temperature <= 0.0 or not 0.0 < draw.top_p <= 1.0 or draw.seed < 0):
        raise ValueError(f"{DRAW_ARG}: {draw} cannot be drawn by")
    return draw


def _read_draw(value: Mapping[str, Any]) -> TokenDraw:
    return TokenDraw(float(value["temperature"]), float(value["top_p"]), int(value["seed"]))


def scored_args(first: int) -> dict[str, Any]:
    """The value for `SamplingParams.extra_args` that has a prompt's ids scored from the place `first` on."""
    return {SCORED_ARG: {"first": first}}


def scored_from(params: Arguments | None) -> int | None:
    """The place of a prompt's first id that is scored, None where none is. Raises ValueError where it is malformed."""
    return None if params is None else _argument(params, SCORED_ARG, lambda value: int(value["first"]), "first")


def _argument(params: Arguments, name: str, read: Callable[[Mapping[str, Any]], T], needs: str) -> T | None:
    value = (params.extra_args or {}).get(name)
    if value is None:
        return None
    try:
        return read(value)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name} needs {needs}") from error


def check(params: Arguments) -> None:
    """Raises ValueError where a request's arguments are malformed, or a pair's or a marked row has no mask: its ids are
    those of the mask.
    """
    mask, row, _ = Mask.from_params(params), PairRow.from_params(params), (draw_of(params), scored_from(params))
    if marking_of(params) is not None and mask is None:
        raise ValueError(f"{WATERMARK_ARG} needs a mask")
    # Id 0 stands for "not drawn", so it must not be one that can be.
    if row is not None and (mask is None or mask.low == 0):
        raise ValueError(f"{PAIR_ARG} needs a mask without id 0")
