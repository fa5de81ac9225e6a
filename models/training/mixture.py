"""The instruction mixture of LLM-CXR: report, draw, answer and plain instructions, in phases."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from models.data.dataset import DataError, QuestionAnswer, Record
from models.data.wording import drawing_request, question_answers, report
from models.prompts import Prompts

# Nearly every image of a hospital has the same view and age group, so these questions teach little.
_QUESTION_WEIGHTS = {"view": 0.2, "age group": 0.2, "sex": 0.2}
_ENOUGH = 1200


class Phase(BaseModel):
    """Which records and texts to train on, and how often each task is drawn. Shares need not add up to one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: int
    views: Literal["all", "frontal"] = "all"
    first_study_only: bool = False
    texts: Literal["full", "impression"] = "full"
    report: float = Field(default=0.3, ge=0)
    draw: float = Field(default=0.3, ge=0)
    answer: float = Field(default=0.4, ge=0)
    instruct: float = Field(default=0.0, ge=0)
    # The share of drawings that are the model's own, kept by rejection sampling.
    own_drawings: float = Field(default=0.0, ge=0, le=1)

    def keeps(self, record: Record) -> bool:
        """Whether the phase trains on `record`."""
        return (self.views == "all" or record.frontal) and (not self.first_study_only or record.study_number == 1)


@dataclass(frozen=True)
class KeptDrawings:
    """Drawings of the model's own that rejection sampling kept: their requests' records, and codes uint16 (N, grid)."""

    records: Sequence[Record]
    codes: np.ndarray


@dataclass(frozen=True)
class Example:
    """Token ids, and the weight of each as a target."""

    ids: list[int]
    weights: list[float]


def read_instructions(file: Path) -> list[QuestionAnswer]:
    """Plain instructions: JSON lines of {"instruction", "response"}, as databricks-dolly-15k has them.

    Lines with a context are left out. Raises DataError naming the line that is none or lacks a text.
    """
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            item = json.loads(line)
            instruction, response = item["instruction"].strip(), item["response"].strip()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file.name} line {number}: not a JSON object of instruction and response") from error
        if not instruction or not response:
            raise DataError(f"{file.name} line {number}: the instruction or the response is empty")
        if not item.get("context"):
            found.append(QuestionAnswer(instruction, response, "instruction"))
    if not found:
        raise DataError(f"{file.name}: no instructions without a context")
    return found


class Mixture:
    """Draws training examples: a task, a condition (each as often as the other), a record, a wording."""

    def __init__(
        self,
        prompts: Prompts,
        records: Sequence[Record],
        codes: np.ndarray,
        phases: Sequence[Phase],
        *,
        instructions: Sequence[QuestionAnswer] = (),
        drawn: KeptDrawings | None = None,
        input_image_weight: float = 0.0,
        dropped_conditions: float = 0.0,
        longest: int = 1024,
    ) -> None:
        """`codes` are (N, variants, grid) of `records`, all of the training split. `dropped_conditions` is the share
        of drawings whose request is empty, which is what guidance moves away from (Ho and Salimans 2022).

        Raises DataError where a phase is left without records or without instructions.
        """
        self._prompts = prompts
        self._records = records
        self._codes = codes
        self._phases = phases
        self._instructions = instructions
        self._drawn = drawn
        self._input_image_weight = input_image_weight
        self._dropped_conditions = dropped_conditions
        self._longest = longest
        self._groups = [self._group(phase) for phase in phases]

    def _group(self, phase: Phase) -> tuple[list[list[int]], list[float]]:
        """Rows by condition, and how often each condition is drawn."""
        groups: dict[str, list[int]] = {}
        for row, record in enumerate(self._records):
            if phase.keeps(record):
                groups.setdefault(record.condition or "", []).append(row)
        if not groups:
            raise DataError(f"the stage until step {phase.until} has no training records")
        if phase.instruct and not self._instructions:
            raise DataError(f"the stage until step {phase.until} draws plain instructions, and none are given")
        if phase.own_drawings and not self._drawn:
            raise DataError(f"the stage until step {phase.until} learns from own drawings, and none are given")
        rows = [groups[name] for name in sorted(groups)]
        # A rare label is drawn in proportion to the root of its count: often enough to learn, too rarely to memorise.
        return rows, [math.sqrt(min(len(group), _ENOUGH)) for group in rows]

    def example(self, rng: Random, number: int = 0) -> Example:
        """One example of phase `number`."""
        phase = self._phases[number]
        groups, weights = self._groups[number]
        row = rng.choice(rng.choices(groups, weights)[0])
        record = self._records[row]
        codes: list[int] = self._codes[row, rng.randrange(self._codes.shape[1])].tolist()
        tasks = ("report", "draw", "answer", "instruct")
        task = rng.choices(tasks, (phase.report, phase.draw, phase.answer, phase.instruct))[0]
        text = report(record, rng, phase.texts)
        asked = question_answers(record, rng)
        if task == "instruct":
            pair = rng.choice(self._instructions)
            return self._reading(self._prompts.instruct(pair.question), pair.answer)
        if task == "draw" or (text is None and not asked):
            if self._drawn and rng.random() < phase.own_drawings:
                row = rng.randrange(len(self._drawn.records))
                record, codes = self._drawn.records[row], self._drawn.codes[row].tolist()
            request = drawing_request(record, rng, phase.texts)
            dropped = self._dropped_conditions and rng.random() < self._dropped_conditions
            prompt = self._prompts.draw("" if dropped else request)
            response = self._prompts.drawn(codes)
            return Example(prompt + response, [0.0] * len(prompt) + [1.0] * len(response))
        if text is not None and (task == "report" or not asked):
            return self._reading(self._prompts.report(codes), text)
        pair = rng.choices(asked, [_QUESTION_WEIGHTS.get(item.kind, 1.0) for item in asked])[0]
        return self._reading(self._prompts.answer(codes, pair.question), pair.answer)

    def _reading(self, prompt: list[int], answer: str) -> Example:
        offset, weight = self._prompts.vocabulary.image_offset, self._input_image_weight
        response = self._prompts.written(answer)
        return Example(prompt + response, [weight if i >= offset else 0.0 for i in prompt] + [1.0] * len(response))

    def batch(self, step: int, size: int, seed: str) -> tuple[Tensor, Tensor]:
        """Ids and weights of a step, each (size, longest), padded or cut on the right."""
        rng = Random(f"{seed}:{step}")
        number = next((i for i, phase in enumerate(self._phases) if step < phase.until), len(self._phases) - 1)
        examples = [self.example(rng, number) for _ in range(size)]
        longest = min(self._longest, max(len(example.ids) for example in examples))
        ids = np.full((size, longest), self._prompts.vocabulary.padding, np.int64)
        weights = np.zeros((size, longest), np.float32)
        for row, example in enumerate(examples):
            kept = min(longest, len(example.ids))
            ids[row, :kept], weights[row, :kept] = example.ids[:kept], example.weights[:kept]
        return torch.from_numpy(ids), torch.from_numpy(weights)
