"""Rejection sampling of the model's own drawings (as in Dong et al. 2023, RAFT).

A model learns to report on radiographs sooner than to draw them. Drawings whose reports state the request, and which
resemble real films (see `realism`), are training examples for drawing. A recipe may let the classifier of the image
tokenizer's losses agree too; the judge takes no part, so that it can still judge the result.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from rich.console import Console
from transformers import PreTrainedModel

from models.bundle import Decoding
from models.classifier import Classifier
from models.conditions import stated_condition
from models.data.dataset import DataError, Record
from models.data.variations import random_variations, vary
from models.data.wording import drawing_request
from models.generate import Guidance, draw, write
from models.prompts import Prompts
from models.training.instruct import SelectionRecipe
from models.training.mixture import KeptDrawings
from models.training.realism import discriminated, likelihood, matched, measures
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey, to_pixels

_CPU_BATCH = 64
_GPU_BATCH = 768
_REPORT_TOKENS = 64
_CODEC_BATCH = 64
# So many real films say enough about a condition.
_REAL = 800


class OwnDrawings:
    """Draws radiographs and reports on them. Reports read the decoded and re-encoded image, which exposes codes that
    are likely to the language model but decode to something else.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        vqgan: VQGAN,
        recipe: SelectionRecipe,
        *,
        empty_requests: bool = False,
        classifier: Classifier | None = None,
        until: float = math.inf,
    ) -> None:
        """`empty_requests`: the model was trained with dropped conditions. `classifier` reads drawings too. After
        `until`, a moment of `time.monotonic`, no further drawings are begun.
        """
        self.recipe = recipe
        self.until = until
        self._model = model
        self._vocabulary = vocabulary
        self._prompts = Prompts(vocabulary)
        self._vqgan = vqgan
        self._empty_requests = empty_requests
        self._classifier = classifier

    @property
    def batch(self) -> int:
        """How many drawings are made at once."""
        return _GPU_BATCH if self._model.device.type == "cuda" else _CPU_BATCH

    def draw_codes(self, wanted: Sequence[Record], seed: int) -> np.ndarray:
        """Codes drawn for the records' requests: int64 (N, grid)."""
        rng, prompts, recipe = Random(seed), self._prompts, self.recipe
        openings = [prompts.draw(drawing_request(record, rng)) + prompts.image_opening() for record in wanted]
        rows, columns = self._vqgan.config.grid
        nothing = prompts.draw("") + prompts.image_opening() if self._empty_requests else prompts.before_image()
        guidance = Guidance(recipe.guidance, tuple(nothing)) if recipe.guidance != 1.0 else None
        decoding = Decoding(temperature=recipe.temperature, top_p=recipe.top_p)
        return draw(self._model, self._vocabulary, openings, decoding, rows * columns, seed, guidance)

    @torch.inference_mode()
    def pictures(self, codes: np.ndarray) -> np.ndarray:
        """Codes decoded: uint8 (N, side, side)."""
        device = next(self._vqgan.parameters()).device
        parts = [codes[start : start + _CODEC_BATCH] for start in range(0, len(codes), _CODEC_BATCH)]
        return np.concatenate(
            [to_grey(self._vqgan.decode(torch.from_numpy(part.astype(np.int64)).to(device))) for part in parts]
        )

    @torch.inference_mode()
    def read_back(self, images: np.ndarray, seed: int) -> list[list[str | None]]:
        """What `readings` reports of every image, uint8 (N, side, side), and the classifier state: N lists."""
        device, channels = next(self._vqgan.parameters()).device, self._vqgan.config.in_channels
        stated: list[list[str | None]] = [[] for _ in images]
        for reading in range(self.recipe.readings):
            prompts: list[list[int]] = []
            for start in range(0, len(images), _CODEC_BATCH):
                seen = torch.from_numpy(images[start : start + _CODEC_BATCH]).to(device)
                if reading:
                    rng = np.random.default_rng([seed, start, reading])
                    seen = vary(seen, random_variations(len(seen), rng))
                codes = self._vqgan.encode(to_pixels(seen, channels))
                prompts += [self._prompts.report(row) for row in codes.tolist()]
            texts = write(self._model, self._vocabulary, prompts, _REPORT_TOKENS)
            for found, text in zip(stated, texts, strict=True):
                found.append(stated_condition(text))
        if self._classifier is not None:
            for start in range(0, len(images), _CODEC_BATCH):
                seen = torch.from_numpy(images[start : start + _CODEC_BATCH]).to(device)
                chosen = self._classifier.logits(to_pixels(seen, channels)).argmax(1).tolist()
                for row, label in enumerate(chosen, start):
                    stated[row].append(self._classifier.config.labels[label])
        return stated

    def realistic(self, codes: np.ndarray, images: np.ndarray, real: np.ndarray, seed: int) -> np.ndarray:
        """Rows of drawn codes (N, grid), decoded to `images`, that match real films' codes (M, grid)."""
        rng, size = np.random.default_rng(seed), self._vocabulary.codebook_size
        real = real[rng.permutation(len(real))[:_REAL]]
        of_real, of_drawn = discriminated(real, codes, size, self._model.device, seed=seed)
        likelihoods = [likelihood(self._model, self._prompts, one) for one in (real, codes)]
        return matched(
            # Real films as the tokenizer shows them, since drawings cannot be sharper.
            measures(self.pictures(real), likelihoods[0], of_real),
            measures(images, likelihoods[1], of_drawn),
            self.recipe.each,
            rng,
        )


def _select_condition(
    own: OwnDrawings,
    records: Sequence[Record],
    real: np.ndarray,
    condition: str,
    seed: int,
    file: Path,
    console: Console,
    until: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `records` and codes drawn for them that are kept; written to `file`."""
    if file.exists():
        stored = np.load(file)
        return stored["rows"], stored["codes"]
    recipe, rng = own.recipe, Random(f"{seed}:{condition}")
    known = [row for row, record in enumerate(records) if record.condition == condition]
    if not known:
        raise DataError(f"selection: no training record is labelled {condition}")
    rows: list[int] = []
    codes: list[np.ndarray] = []
    images: list[np.ndarray] = []
    drawn = 0
    # Matching takes a third at most of what is offered.
    enough = 3 * recipe.each if recipe.matched else recipe.each
    while len(rows) < enough and drawn < recipe.most and (not drawn or time.monotonic() < until):
        wanted = [rng.choice(known) for _ in range(min(own.batch, recipe.most - drawn))]
        one_seed = rng.randrange(2**31)
        found = own.draw_codes([records[row] for row in wanted], one_seed)
        shown = own.pictures(found)
        for row, made, image, stated in zip(wanted, found, shown, own.read_back(shown, one_seed), strict=True):
            if all(one == condition for one in stated):
                rows.append(row)
                codes.append(made)
                images.append(image)
        drawn += len(wanted)
    if not rows:
        raise DataError(f"selection: no drawing of {condition} was read back as it; train longer before it")
    kept, kept_codes, agreed = np.array(rows), np.array(codes, np.uint16), len(rows)
    if recipe.matched:
        chosen = own.realistic(kept_codes, np.stack(images), real[known], rng.randrange(2**31))
        kept, kept_codes = kept[chosen], kept_codes[chosen]
    console.print(f"{condition}: {agreed} of {drawn} drawings were read back as it, kept {len(kept)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, rows=kept, codes=kept_codes)
    partial.replace(file)
    return kept, kept_codes


def select(
    own: OwnDrawings, records: Sequence[Record], real: np.ndarray, seed: int, out: Path, console: Console
) -> KeptDrawings:
    """Own drawings for every condition of the recipe, asked for as training `records` of it describe them.

    `real` are the records' own codes (N, grid). Kept in `out/drawn`, a file a condition, so that a stopped selection
    resumes with the next one. Raises DataError where a condition has no records, or none of its drawings was kept.
    """
    rows: list[int] = []
    codes: list[np.ndarray] = []
    for number, condition in enumerate(own.recipe.conditions):
        name = f"{own.recipe.step:06d}-{condition.replace(' ', '-')}.npz"
        now, waiting = time.monotonic(), len(own.recipe.conditions) - number
        until = now + (own.until - now) / waiting if own.until < math.inf else math.inf
        file = out / "drawn" / name
        found, made = _select_condition(own, records, real, condition, seed, file, console, until)
        rows.extend(found.tolist())
        codes.append(made)
    return KeptDrawings([records[row] for row in rows], np.concatenate(codes))
