"""The model's own drawings that it reads back as what was asked for (rejection sampling, as in Dong et al. 2023, RAFT).

Reading a radiograph is learnt sooner than drawing one. Drawings whose report states the request teach the drawing what
the reading knows. No other network takes part, so a classifier can still judge the result from outside.
"""

from pathlib import Path
from random import Random

import numpy as np
from rich.console import Console
from transformers import PreTrainedModel

from models.bundle import Decoding
from models.evaluation.generation import draw, write
from models.prompts import Prompts
from models.training.instruct import SelectionRecipe
from models.training.manifest import DataError, Record
from models.training.mixture import Drawn
from models.training.wording import drawing_request, stated_condition
from models.vocabulary import Vocabulary

_BATCH = 64
_REPORT_TOKENS = 64
_DECODING = Decoding(temperature=0.95, top_p=0.95)


def _round(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    wanted: list[Record],
    grid: int,
    guidance: float,
    seed: int,
) -> list[tuple[Record, np.ndarray]]:
    """Drawings for the records' requests that are read back as the records' conditions."""
    prompts, rng = Prompts(vocabulary), Random(seed)
    openings = [prompts.draw(drawing_request(record, rng)) + prompts.image_opening() for record in wanted]
    # An image that is to be read follows nothing that describes it.
    anything = prompts.before_image()
    codes = draw(model, vocabulary, openings, _DECODING, grid, seed, guidance, anything)
    texts = write(model, vocabulary, [prompts.report(row.tolist()) for row in codes], _REPORT_TOKENS)
    return [
        (record, row)
        for record, row, text in zip(wanted, codes, texts, strict=True)
        if stated_condition(text) == record.condition
    ]


def select(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    records: list[Record],
    grid: int,
    recipe: SelectionRecipe,
    seed: int,
    out: Path,
    console: Console,
) -> Drawn:
    """Own drawings for every condition of the recipe, asked for as training `records` of it describe them.

    Kept in `out/drawn.npz`. Raises DataError where a condition has no records, or none of its drawings was kept.
    """
    file = out / "drawn.npz"
    if file.exists():
        stored = np.load(file)
        return Drawn([records[row] for row in stored["rows"]], stored["codes"])
    rows: list[int] = []
    kept_codes: list[np.ndarray] = []
    for number, condition in enumerate(recipe.conditions):
        rng = Random(f"{seed}:{condition}")
        known = [row for row, record in enumerate(records) if record.condition == condition]
        if not known:
            raise DataError(f"selection: no training record is labelled {condition}")
        place = {id(records[row]): row for row in known}
        drawn = kept = 0
        while kept < recipe.each and drawn < recipe.most:
            wanted = [records[rng.choice(known)] for _ in range(min(_BATCH, recipe.most - drawn))]
            found = _round(model, vocabulary, wanted, grid, recipe.guidance, seed + 1000 * number + drawn)
            rows += [place[id(record)] for record, _ in found]
            kept_codes += [codes for _, codes in found]
            drawn, kept = drawn + len(wanted), kept + len(found)
        console.print(f"{condition}: kept {kept} of {drawn} drawings")
        if not kept:
            raise DataError(f"selection: no drawing of {condition} was read back as it; train longer before it")
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, rows=np.array(rows), codes=np.array(kept_codes, np.uint16))
    partial.replace(file)
    return Drawn([records[row] for row in rows], np.array(kept_codes, np.uint16))
