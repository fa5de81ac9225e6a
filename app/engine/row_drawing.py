"""Draws ids from the logits of a batch: of single rows, and of the pairs of guided drawings; marks them first.

Logits have a column for each id of the vocabulary, or only for those from `base` on (`app.engine.output_rows`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from app.engine.protocol import Marking
from app.engine.rows import Mask, PairRow, draw_of, marking_of
from app.engine.sampling import TokenDraw, sample

if TYPE_CHECKING:
    from vllm import SamplingParams


@dataclass
class Row:
    """One request of a batch; `written` grows as ids are generated (V1)."""

    mask: Mask | None
    draw: TokenDraw | None
    guided: PairRow | None
    marked: Marking | None = None
    written: Sequence[int] = ()

    @classmethod
    def from_params(cls, params: "SamplingParams", written: Sequence[int] = ()) -> "Row | None":
        """The row of a request, None where it asks for nothing of ours. Raises ValueError where it is malformed."""
        mask, draw, pair = Mask.from_params(params), draw_of(params), PairRow.from_params(params)
        row = cls(mask, draw, pair, marking_of(params), written)
        return None if row.mask is None and row.draw is None and row.guided is None else row


def mark_alone(logits: torch.Tensor, rows: Mapping[int, Row], steps: Mapping[int, int], base: int = 0) -> None:
    """Mark those of `rows` that belong to no pair, by their number in logits (N, columns), in place."""
    together: dict[Mask, list[int]] = {}
    for number, row in rows.items():
        if row.marked is not None and row.guided is None and row.mask is not None:
            together.setdefault(row.mask, []).append(number)
    for mask, numbers in together.items():
        columns = slice(mask.low - base, mask.high - base)
        allowed = logits[numbers, columns]
        _mark(allowed, [rows[number] for number in numbers], [steps[number] for number in numbers])
        logits[numbers, columns] = allowed


def _mark(logits: torch.Tensor, rows: Sequence[Row], steps: Sequence[int]) -> None:
    """Add the marks of those of `rows` that have one to logits of their masks' ids (N, W), in place."""
    marked = [(place, row.marked) for place, row in enumerate(rows) if row.marked is not None]
    if marked:
        biases = [mark.watermark.bias([mark.first + steps[place]], logits.shape[1])[0] for place, mark in marked]
        logits[[place for place, _ in marked]] += torch.from_numpy(np.stack(biases)).to(logits)


@dataclass(frozen=True)
class Drawn:
    """What was drawn of pairs: row numbers (R,) with their ids (R,), int64; and rows of which nothing can be drawn."""

    rows: torch.Tensor
    ids: torch.Tensor
    alone: Sequence[int]


def draw_pairs(logits: torch.Tensor, rows: Mapping[int, Row], steps: Mapping[int, int], base: int = 0) -> Drawn:
    """One id for both rows of every pair of logits (N, columns); `steps` has how many ids each row has written."""
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
    numbers = [torch.empty(0, dtype=torch.int64, device=logits.device)]
    ids = list(numbers)
    for mask, found in together.items():
        both = torch.tensor(found, device=logits.device)
        asked_for, without_it = logits[both, mask.low - base : mask.high - base].unbind(1)
        leading = [rows[asked] for asked, _ in found]
        scales = torch.tensor([row.guided.scale for row in leading if row.guided is not None], device=logits.device)
        combined = without_it + scales[:, None] * (asked_for - without_it)
        reached = [steps[asked] for asked, _ in found]
        _mark(combined, leading, reached)
        taken = draw(combined, [row.draw for row in leading], reached) + mask.low
        numbers.append(both.flatten())
        ids.append(taken.repeat_interleave(2))
    return Drawn(torch.cat(numbers), torch.cat(ids), alone)


def draw(logits: torch.Tensor, draws: Sequence[TokenDraw | None], steps: Sequence[int]) -> torch.Tensor:
    """A column of each row of logits (N, W); the likeliest where it is not to be drawn: int64 (N,)."""
    asked = [(place, one) for place, one in enumerate(draws) if one is not None]
    if len(asked) == len(draws):
        return sample(logits, [one for _, one in asked], steps)
    taken = logits.argmax(-1)
    if asked:
        at = [place for place, _ in asked]
        taken[at] = sample(logits[at], [one for _, one in asked], [steps[place] for place in at])
    return taken
