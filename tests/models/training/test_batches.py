"""Batches made by worker processes are those made without any."""

import numpy as np
import pytest
import torch

from models.prompts import Prompts
from models.training.batches import Batches
from models.training.mixture import Mixture, Phase
from models.training.tokenizer import train_tokenizer
from models.vocabulary import Vocabulary
from tests.support.training import RECORDS


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    vocabulary = Vocabulary.from_tokenizer(train_tokenizer(RECORDS, 520), 520, 520, 16)
    codes = np.random.default_rng(0).integers(0, 16, (len(RECORDS), 2, 64))
    return Mixture(Prompts(vocabulary), RECORDS, codes, [Phase(until=3), Phase(until=9, draw=1.0)])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_change_no_batch_wherever_a_run_goes_on(mixture: Mixture) -> None:
    plain, made = Batches(mixture, 2, "0", 8), Batches(mixture, 2, "0", 8, workers=2)
    for step in (0, 1, 2, 3, 6, 7, 8):
        for one, other in zip(plain.at(step), made.at(step), strict=True):
            assert torch.equal(one, other)


def test_rows_are_padded_on_the_right_without_weight(mixture: Mixture) -> None:
    ids, weights = mixture.batch(0, 8, "0")
    for row, weight in zip(ids, weights, strict=True):
        end = int(torch.nonzero(weight)[-1])
        assert (row[end + 1 :] == 3).all()
        assert not weight[end + 1 :].any()
