"""Own drawings are kept where real films stand, not where a classifier is surest."""

import numpy as np
import torch

from models.prompts import Prompts
from models.training.language_model import build_model
from models.training.realism import discriminated, likelihood, matched, measures
from models.training.tokenizer import train_tokenizer
from models.vocabulary import Vocabulary
from tests.support.training import RECORDS


def test_kept_drawings_have_the_real_films_distribution() -> None:
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(10, 2, (200, 1)), rng.normal(7, 3, (900, 1))
    kept = drawn[matched(real, drawn, 150, rng)]
    assert abs(kept.mean() - real.mean()) < 0.5
    assert abs(kept.std() - real.std()) < 0.5
    assert len(np.unique(kept)) == 150


def test_a_third_of_what_is_offered_is_taken_at_most() -> None:
    rng = np.random.default_rng(0)
    assert len(matched(rng.normal(size=(50, 2)), rng.normal(size=(30, 2)), 100, rng)) == 10
    assert len(matched(rng.normal(size=(50, 2)), rng.normal(size=(1, 2)), 100, rng)) == 1


def test_a_discriminator_tells_codes_that_real_films_do_not_have() -> None:
    rng = np.random.default_rng(0)
    real, drawn = rng.integers(0, 8, (40, 64)), rng.integers(4, 12, (40, 64))
    before = torch.random.get_rng_state()
    of_real, of_drawn = discriminated(real, drawn, 16, torch.device("cpu"), steps=20)
    assert of_real.min() > of_drawn.max()
    assert torch.equal(before, torch.random.get_rng_state())


def test_likelihoods_and_measures_are_one_row_an_image() -> None:
    vocabulary = Vocabulary.from_tokenizer(train_tokenizer(RECORDS, 520), 520, 520, 16)
    torch.manual_seed(0)
    codes = np.random.default_rng(0).integers(0, 16, (3, 64))
    found = likelihood(build_model(vocabulary, 32, 1, 2).eval(), Prompts(vocabulary), codes)
    assert found.shape == (3,)
    assert np.allclose(found, -np.log(16), atol=0.3)
    images = np.random.default_rng(1).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    assert measures(images, found, found).shape == (3, 7)
