"""Speculative drawing draws what drawing one code after the other does."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import DynamicCache, GPTNeoXConfig, GPTNeoXForCausalLM

from models.bundle import Decoding
from models.speculation import Coupling, FixedNoise, FreshGuesses, MaximalCoupling, draw_speculatively, nucleus

CODES, OFFSET, COUNT = 4, 3, 4
VOCABULARY: Any = SimpleNamespace(image_offset=OFFSET, size=OFFSET + CODES, codebook_size=CODES)
DECODING = Decoding(temperature=0.9, top_p=0.95, max_tokens=COUNT)
SEEDS = 2000
COUPLINGS: dict[str, Callable[[int], Coupling]] = {
    "maximal": MaximalCoupling,
    "fresh": FreshGuesses,
    "fixed noise": lambda seed: FixedNoise(seed, COUNT, CODES),
}


class Markov:
    """Logits by the two ids before; what it has read is in the cache, as a model's keys are."""

    def __init__(self) -> None:
        size = OFFSET + CODES
        self._logits = 1.5 * torch.randn(size, size, size, generator=torch.Generator().manual_seed(3))

    def after(self, last: int, other: int) -> torch.Tensor:
        return self._logits[last, other]

    def __call__(self, input_ids: torch.Tensor, past_key_values: DynamicCache, logits_to_keep: int, **_: Any) -> Any:
        as_keys = input_ids[:, None, :, None].double()
        read, _ = past_key_values.update(as_keys, as_keys, 0)
        ids = [0, *read[0, 0, :, 0].long().tolist()]
        logits = [self.after(ids[place], ids[place - 1]) for place in range(1, len(ids))]
        return SimpleNamespace(logits=torch.stack(logits)[None, -logits_to_keep:])


MARKOV: Any = Markov()


def expected() -> torch.Tensor:
    """The probability of each drawing of two codes behind the prompt (1, 2), then of what follows it."""
    first = nucleus(MARKOV.after(2, 1)[None, OFFSET:], DECODING)[0]
    found = torch.zeros(CODES, CODES, CODES, dtype=torch.float64)
    for one in range(CODES):
        second = nucleus(MARKOV.after(OFFSET + one, 2)[None, OFFSET:], DECODING)[0]
        for two in range(CODES):
            third = nucleus(MARKOV.after(OFFSET + two, OFFSET + one)[None, OFFSET:], DECODING)[0]
            found[one, two] = first[one] * second[two] * third
    return found


def chi_square_p(observed: list[float], wanted: list[float]) -> float:
    """The probability of at least this difference by chance (Pearson 1900)."""
    kinds = [(found, asked) for found, asked in zip(observed, wanted, strict=True) if asked]
    statistic = sum((found - asked) ** 2 / asked for found, asked in kinds)
    half = torch.tensor([(len(kinds) - 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


@pytest.mark.parametrize("window", [3, *(pytest.param(size, marks=pytest.mark.slow) for size in (0, 1, 8))])
@pytest.mark.parametrize("name", COUPLINGS)
def test_codes_are_distributed_as_one_after_the_other(name: str, window: int) -> None:
    counts = torch.zeros(CODES, CODES, CODES, dtype=torch.float64)
    for seed in range(SEEDS):
        drawn = draw_speculatively(MARKOV, VOCABULARY, [1, 2], DECODING, COUNT, COUPLINGS[name](seed), window)
        counts[tuple(drawn.codes[:3])] += 1
    probabilities = expected()
    assert not counts[probabilities == 0].any()
    possible = probabilities > 0
    # Rare drawings together: the test wants five or more of each.
    rare = probabilities * SEEDS < 5
    observed = [*counts[possible & ~rare].tolist(), float(counts[possible & rare].sum())]
    wanted = [*(probabilities[possible & ~rare] * SEEDS).tolist(), float(probabilities[possible & rare].sum() * SEEDS)]
    assert chi_square_p(observed, wanted) > 1e-3


@pytest.mark.parametrize("window", [1, 4, 16, 64])
def test_by_the_same_noise_the_codes_are_the_same_in_fewer_passes(window: int) -> None:
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=OFFSET + CODES,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    model = GPTNeoXForCausalLM(config).eval()
    one, several = (
        draw_speculatively(model, VOCABULARY, [1, 2], DECODING, 32, FixedNoise(5, 32, CODES), size)
        for size in (0, window)
    )
    assert one.passes == 32
    assert several.codes == one.codes
    assert several.passes < 32


def test_what_stays_is_as_much_as_two_distributions_share() -> None:
    before = torch.tensor([[0.5, 0.3, 0.2, 0.0]], dtype=torch.float64).expand(20_000, -1)
    after = torch.tensor([[0.2, 0.3, 0.1, 0.4]], dtype=torch.float64).expand(20_000, -1)
    coupling, places = MaximalCoupling(0), torch.zeros(20_000, dtype=torch.int64)
    guessed = coupling.first(before, places)
    drawn = coupling.again(guessed, before, after, places)
    assert float((drawn == guessed).double().mean()) == pytest.approx(0.6, abs=0.02)
    assert torch.bincount(drawn, minlength=4).double() / 20_000 == pytest.approx([0.2, 0.3, 0.1, 0.4], abs=0.02)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_from_which_nothing_can_be_drawn_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no code can be drawn"):
        nucleus(torch.full((1, 4), value), Decoding(temperature=1.0, top_p=1.0))
