"""Which rows of the output layer are multiplied by."""

from collections.abc import Mapping

import pytest
import torch

from app.engine.output_rows import OutputRows
from app.engine.rows import Mask

TEXT, IMAGE = Mask(0, 6, (2,)), Mask(6, 10)
HIDDEN = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
WEIGHT = torch.randn(12, 4, generator=torch.Generator().manual_seed(2))
WHOLE = HIDDEN @ WEIGHT.T


def logits(masks: Mapping[int, Mask], size: int = 3) -> tuple[torch.Tensor | None, OutputRows]:
    rows = OutputRows()
    rows.size = size
    rows.expect(masks)
    return rows.logits(HIDDEN, WEIGHT), rows


@pytest.mark.parametrize("mask", [TEXT, IMAGE])
def test_one_window_of_all_rows_gives_its_columns_alone(mask: Mask) -> None:
    found, rows = logits(dict.fromkeys(range(3), mask))
    assert found is not None
    torch.testing.assert_close(found, WHOLE[:, mask.low : mask.high])
    assert rows.base == mask.low


def test_rows_of_several_windows_have_minus_infinity_outside_of_their_own() -> None:
    found, rows = logits({0: TEXT, 1: IMAGE, 2: TEXT})
    assert found is not None
    assert rows.base is None
    for row, mask in enumerate((TEXT, IMAGE, TEXT)):
        torch.testing.assert_close(found[row, mask.low : mask.high], WHOLE[row, mask.low : mask.high])
        assert int(torch.isfinite(found[row]).sum()) == mask.high - mask.low


def test_a_row_without_a_mask_has_the_whole_vocabulary_and_the_others_their_windows() -> None:
    found, rows = logits({0: TEXT, 2: IMAGE})
    assert found is not None
    assert rows.base is None
    torch.testing.assert_close(found[1], WHOLE[1])
    assert [int(torch.isfinite(row).sum()) for row in found] == [6, 12, 4]


@pytest.mark.parametrize(
    ("masks", "size"),
    [({0: TEXT, 1: TEXT, 2: TEXT}, 2), ({}, 3)],
    ids=["a batch of another size", "no masks"],
)
def test_what_the_masks_do_not_cover_needs_the_whole_vocabulary(masks: Mapping[int, Mask], size: int) -> None:
    assert logits(masks, size)[0] is None


def test_the_windows_are_those_of_one_step() -> None:
    _, rows = logits(dict.fromkeys(range(3), IMAGE))
    # The log-likelihoods of a prompt are computed behind the step.
    assert rows.logits(HIDDEN, WEIGHT) is None
    assert rows.base is None
