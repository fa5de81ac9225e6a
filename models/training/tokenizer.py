"""The text vocabulary: a small tokenizer trained on our wording, or a published one with the paper's special tokens."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.data.dataset import Record
from models.data.wording import drawing_request, question_answers, report
from models.prompts import DRAW_INSTRUCTION, INTRO, REPORT_INSTRUCTION
from models.vocabulary import IMAGE_WORD, SPECIAL_TOKENS

_SPECIAL = [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]


def corpus(records: Sequence[Record], seed: int) -> Iterable[str]:
    """Every kind of text the model is trained on."""
    rng = Random(seed)
    for _ in range(200):
        yield f"{INTRO}\n\n"
        yield f"\n{REPORT_INSTRUCTION}\n\nInput:\n{IMAGE_WORD}\n\n"
        yield f"\n{DRAW_INSTRUCTION}\n\nInput:\n"
    for record in records:
        yield f"{report(record, rng) or ''}\n\n"
        yield f"{drawing_request(record, rng)}\n\n"
        for pair in question_answers(record, rng):
            yield f"\n{pair.question}\n\nInput:\n{IMAGE_WORD}\n\n"
            yield f"{pair.answer}\n\n"


def train_tokenizer(records: Sequence[Record], size: int, seed: int = 0) -> Tokenizer:
    """A byte-level BPE tokenizer of exactly `size` entries, special tokens included.

    Raises ValueError where the corpus does not hold enough merges for it.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(records, seed), trainer)
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the corpus yields {tokenizer.get_vocab_size()} entries, not {size}")
    return tokenizer


def extended_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face folder with the special tokens it lacks behind its own entries."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(_SPECIAL)
    return tokenizer
