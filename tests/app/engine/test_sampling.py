"""Ids drawn from a nucleus without sorting: the distribution, the seed, the edges."""

import pytest
import torch

from app.engine.sampling import TokenDraw, sample, uniforms

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0, float("-inf")])
MANY = 20_000


def nucleus(logits: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Probabilities of nucleus sampling as it is defined: the likeliest ids that hold `top_p` together."""
    shares, order = (logits / temperature).softmax(-1).sort(descending=True)
    shares[shares.cumsum(-1) - shares >= top_p] = 0.0
    return torch.zeros_like(shares).scatter(0, order, shares / shares.sum())


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (1.0, 0.92), (0.5, 0.7), (2.0, 0.3), (1.0, 0.01)])
def test_ids_are_distributed_as_the_nucleus_says(temperature: float, top_p: float) -> None:
    draws = [TokenDraw(temperature, top_p, seed) for seed in range(MANY)]
    taken = sample(LOGITS.expand(MANY, -1), draws, [0] * MANY)
    found = torch.bincount(taken, minlength=len(LOGITS)) / MANY
    expected = nucleus(LOGITS, temperature, top_p)
    assert torch.all(found[expected == 0.0] == 0.0)
    # Five standard deviations of a share.
    assert torch.all((found - expected).abs() <= 5.0 * (expected * (1.0 - expected) / MANY).sqrt())


def test_steps_of_one_seed_are_as_independent_as_seeds() -> None:
    taken = sample(LOGITS.expand(MANY, -1), [TokenDraw(1.0, 1.0, 7)] * MANY, list(range(MANY)))
    found = torch.bincount(taken, minlength=len(LOGITS)) / MANY
    assert (found - LOGITS.softmax(-1)).abs().max() < 0.02
    pairs = torch.bincount(taken[:-1] * len(LOGITS) + taken[1:], minlength=len(LOGITS) ** 2) / (MANY - 1)
    assert (pairs.view(len(LOGITS), -1) - found[:, None] * found).abs().max() < 0.02


def test_an_id_depends_on_its_seed_and_step_and_not_on_the_batch() -> None:
    logits = torch.randn(5, 1000, generator=torch.Generator().manual_seed(0))
    draws = [TokenDraw(0.9, 0.92, 100 + row) for row in range(5)]
    steps = [3, 0, 7, 255, 12]
    together = sample(logits, draws, steps)
    alone = [int(sample(logits[row : row + 1], [draws[row]], [steps[row]])) for row in range(5)]
    assert together.tolist() == alone
    assert sample(logits, draws, steps).tolist() == together.tolist()
    assert uniforms(1, 2).tolist() != uniforms(1, 3).tolist() != uniforms(2, 3).tolist()


def test_rows_with_different_settings_share_a_batch() -> None:
    logits = torch.tensor([[0.0, 10.0, 0.0], [5.0, 0.0, 5.0]])
    for seed in range(50):
        first, second = sample(logits, [TokenDraw(0.1, 1.0, seed), TokenDraw(1.0, 0.9, seed)], [0, 0]).tolist()
        assert first == 1
        assert second in (0, 2)


def test_one_allowed_id_is_always_taken() -> None:
    logits = torch.full((1, 64), float("-inf"))
    logits[0, 63] = -50.0
    assert {int(sample(logits, [TokenDraw(1.0, 0.92, seed)], [0])) for seed in range(100)} == {63}


@pytest.mark.parametrize("temperature", [1e-5, 1e-30, 1e-38, 1e-45, 5e-324])
def test_next_to_no_temperature_takes_the_likeliest(temperature: float) -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) * 20
    draws = [TokenDraw(temperature, 1.0, seed) for seed in range(4)]
    assert sample(logits, draws, [0] * 4).tolist() == logits.argmax(-1).tolist()
