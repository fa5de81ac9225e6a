"""Rejection sampling of the model's own drawings (as in Dong et al. 2023, RAFT).

A model learns to report on radiographs sooner than to draw them. Drawings whose reports state the request are training
examples for drawing. No other network takes part, so a classifier can still judge the result independently.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from rich.console import Console
from transformers import PreTrainedModel

from models.bundle import Decoding
from models.data.codes import varied
from models.data.dataset import DataError, Record
from models.data.wording import drawing_request, stated_condition
from models.generate import draw, write
from models.prompts import Prompts
from models.training.instruct import SelectionRecipe
from models.training.mixture import KeptDrawings
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey, to_pixels

_BATCH = 64
_REPORT_TOKENS = 64
_DECODING = Decoding(temperature=0.95, top_p=0.95)


class OwnDrawings:
    """Draws radiographs and reports on them. Reports read the decoded and re-encoded image, which exposes codes that
    are likely to the language model but decode to something else.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary, vqgan: VQGAN, recipe: SelectionRecipe) -> None:
        self.recipe = recipe
        self._model = model
        self._vocabulary = vocabulary
        self._prompts = Prompts(vocabulary)
        self._vqgan = vqgan

    def draw_codes(self, wanted: Sequence[Record], seed: int) -> np.ndarray:
        """Codes drawn for the records' requests: int64 (N, grid)."""
        rng, prompts = Random(seed), self._prompts
        openings = [prompts.draw(drawing_request(record, rng)) + prompts.image_opening() for record in wanted]
        rows, columns = self._vqgan.config.grid
        # The unconditional prompt of the guidance: an image that no text describes.
        anything = prompts.before_image()
        guidance = self.recipe.guidance
        return draw(self._model, self._vocabulary, openings, _DECODING, rows * columns, seed, guidance, anything)

    def read_back(self, codes: np.ndarray, seed: int) -> list[list[str | None]]:
        """What `readings` reports of every drawing state: N lists."""
        device, channels = next(self._vqgan.parameters()).device, self._vqgan.config.in_channels
        prompts = []
        with torch.inference_mode():
            for number, row in enumerate(codes):
                image = to_grey(self._vqgan.decode(torch.from_numpy(row[None]).to(device)))[0]
                for reading in range(self.recipe.readings):
                    rng = np.random.default_rng([seed, number, reading])
                    seen = varied(image, rng) if reading else image
                    encoded = self._vqgan.encode(to_pixels(seen[None], channels).to(device))
                    prompts.append(self._prompts.report(encoded[0].tolist()))
        stated = [stated_condition(text) for text in write(self._model, self._vocabulary, prompts, _REPORT_TOKENS)]
        return [stated[start : start + self.recipe.readings] for start in range(0, len(stated), self.recipe.readings)]


def _select_condition(
    own: OwnDrawings, records: Sequence[Record], condition: str, seed: int, file: Path, console: Console
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `records` and codes drawn for them that were read back as `condition`; kept in `file`."""
    if file.exists():
        stored = np.load(file)
        return stored["rows"], stored["codes"]
    recipe, rng = own.recipe, Random(f"{seed}:{condition}")
    known = [row for row, record in enumerate(records) if record.condition == condition]
    if not known:
        raise DataError(f"selection: no training record is labelled {condition}")
    rows: list[int] = []
    codes: list[np.ndarray] = []
    drawn = 0
    while len(rows) < recipe.each and drawn < recipe.most:
        wanted = [rng.choice(known) for _ in range(min(_BATCH, recipe.most - drawn))]
        one_seed = rng.randrange(2**31)
        found = own.draw_codes([records[row] for row in wanted], one_seed)
        for row, made, stated in zip(wanted, found, own.read_back(found, one_seed), strict=True):
            if all(one == condition for one in stated):
                rows.append(row)
                codes.append(made)
        drawn += len(wanted)
    console.print(f"{condition}: kept {len(rows)} of {drawn} drawings")
    if not rows:
        raise DataError(f"selection: no drawing of {condition} was read back as it; train longer before it")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, rows=np.array(rows), codes=np.array(codes, np.uint16))
    partial.replace(file)
    return np.array(rows), np.array(codes, np.uint16)


def select(own: OwnDrawings, records: Sequence[Record], seed: int, out: Path, console: Console) -> KeptDrawings:
    """Own drawings for every condition of the recipe, asked for as training `records` of it describe them.

    Kept in `out/drawn`, a file a condition, so that a stopped selection resumes with the next one. Raises DataError
    where a condition has no records, or none of its drawings was kept.
    """
    rows: list[int] = []
    codes: list[np.ndarray] = []
    for condition in own.recipe.conditions:
        name = f"{own.recipe.step:06d}-{condition.replace(' ', '-')}.npz"
        found, made = _select_condition(own, records, condition, seed, out / "drawn" / name, console)
        rows.extend(found.tolist())
        codes.append(made)
    return KeptDrawings([records[row] for row in rows], np.concatenate(codes))
