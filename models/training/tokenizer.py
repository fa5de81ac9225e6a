"""A small byte-level BPE tokenizer with the paper's special tokens, trained on the demo model's wording."""

from collections.abc import Iterable
from random import Random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.prompts import DRAW_INSTRUCTION, INTRO, REPORT_INSTRUCTION
from models.training.data import Study
from models.training.wording import drawing_request, exchanges, report
from models.vocabulary import IMAGE_WORD, SPECIAL_TOKENS


def corpus(studies: list[Study], seed: int) -> Iterable[str]:
    """Every kind of text the model is trained on."""
    rng = Random(seed)
    for _ in range(200):
        yield f"{INTRO}\n\n"
        yield f"\n{REPORT_INSTRUCTION}\n\nInput:\n{IMAGE_WORD}\n\n"
        yield f"\n{DRAW_INSTRUCTION}\n\nInput:\n"
    for study in studies:
        yield f"{report(study, rng) or ''}\n\n"
        yield f"{drawing_request(study, rng)}\n\n"
        for exchange in exchanges(study, rng):
            yield f"\n{exchange.question}\n\nInput:\n{IMAGE_WORD}\n\n"
            yield f"{exchange.answer}\n\n"


def train_tokenizer(studies: list[Study], size: int, seed: int = 0) -> Tokenizer:
    """A tokenizer of exactly `size` entries, special tokens included.

    Raises ValueError where the corpus does not hold enough merges for it.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(studies, seed), trainer)
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the corpus yields {tokenizer.get_vocab_size()} entries, not {size}")
    return tokenizer
