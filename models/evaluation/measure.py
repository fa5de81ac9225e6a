"""Every figure of the model card, on the test split."""

from random import Random
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from models.evaluation.images import codebook_use, psnr, reconstruct
from models.evaluation.reports import balanced_accuracy, interval, macro_f1, write
from models.prompts import Prompts
from models.training.data import rows_of
from models.training.demo import DemoRecipe
from models.training.wording import BACTERIAL, VIRAL, condition, exchanges, stated_condition
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN

KINDS = ("normal", BACTERIAL, VIRAL)
_YES = "yes"


def _two(label: str | None) -> str | None:
    return None if label is None else "normal" if label == "normal" else "pneumonia"


def measure(
    recipe: DemoRecipe,
    vqgan: VQGAN,
    llm: PreTrainedModel,
    vocabulary: Vocabulary,
    codes: np.ndarray,
    split: str = "test",
) -> dict[str, Any]:
    """Reconstruction, reports and yes/no answers on `split`, with 95 % bootstrap intervals and chance beside them."""
    rows = rows_of(recipe.studies, split)
    pictures = recipe.images[rows]
    ratios = psnr(pictures, reconstruct(vqgan, codes[rows]))
    figures: dict[str, Any] = {
        "split": split,
        "images": len(rows),
        "psnr_db": round(float(ratios.mean()), 2),
        "codebook_use": round(codebook_use(codes[rows], vqgan.config.n_embed), 3),
    }
    prompts = Prompts(vocabulary)
    labelled = [int(row) for row in rows if condition(recipe.studies[row]) in KINDS]
    truth = [str(condition(recipe.studies[row])) for row in labelled]
    texts = write(llm, vocabulary, [prompts.report([int(c) for c in codes[row]]) for row in labelled])
    stated = [stated_condition(text) for text in texts]
    two_truth, two_stated = [str(_two(label)) for label in truth], [_two(label) for label in stated]
    figures["reports"] = {
        "count": len(labelled),
        "normal_or_pneumonia_balanced_accuracy": round(balanced_accuracy(two_truth, two_stated), 3),
        "interval": _rounded(interval(balanced_accuracy, two_truth, two_stated)),
        "chance": 0.5,
        "three_kinds_macro_f1": round(macro_f1(truth, stated), 3),
        "three_kinds_interval": _rounded(interval(macro_f1, truth, stated)),
        "examples": [{"label": truth[i], "report": texts[i]} for i in range(0, len(texts), max(1, len(texts) // 6))][
            :6
        ],
    }
    figures["answers"] = _answers(recipe, llm, vocabulary, codes, labelled)
    return figures


def _rounded(pair: tuple[float, float]) -> list[float]:
    return [round(value, 3) for value in pair]


def _answers(
    recipe: DemoRecipe, llm: PreTrainedModel, vocabulary: Vocabulary, codes: np.ndarray, rows: list[int]
) -> dict[str, Any]:
    """Yes/no questions, as many with yes as with no among those asked."""
    rng, prompts = Random(0), Prompts(vocabulary)
    asked: dict[bool, list[tuple[int, str]]] = {True: [], False: []}
    for row in rows:
        for exchange in exchanges(recipe.studies[row], rng):
            if exchange.kind in ("presence", "kind"):
                asked[exchange.answer.startswith("Yes")].append((row, exchange.question))
    count = min(len(asked[True]), len(asked[False]), 300)
    chosen = [(row, question, yes) for yes in (True, False) for row, question in rng.sample(asked[yes], count)]
    by_length: dict[int, list[tuple[list[int], bool]]] = {}
    for row, question, yes in chosen:
        prompt = prompts.answer([int(c) for c in codes[row]], question)
        by_length.setdefault(len(prompt), []).append((prompt, yes))
    right = 0
    for group in by_length.values():
        texts = write(llm, vocabulary, [prompt for prompt, _ in group], max_tokens=4)
        right += sum(text.lower().startswith(_YES) == yes for text, (_, yes) in zip(texts, group, strict=True))
    return {"yes_no_questions": 2 * count, "accuracy": round(right / (2 * count), 3), "chance": 0.5}
