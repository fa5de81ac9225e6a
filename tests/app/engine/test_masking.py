"""The masks behind both of vLLM's interfaces. They import vLLM, but start no engine."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.engine
masking = pytest.importorskip("app.engine.masking", reason="vLLM is not installed", exc_type=ImportError)

TEXT = masking.Mask(0, 6, (2,))
IMAGE = masking.Mask(6, 10)
ALLOWED = {TEXT: [0, 1, 3, 4, 5], IMAGE: [6, 7, 8, 9]}


def params(mask: object) -> SimpleNamespace:
    return SimpleNamespace(extra_args=None if mask is None else mask.extra_args())


def allowed(logits: torch.Tensor, row: int) -> list[int]:
    return torch.isfinite(logits[row]).nonzero().flatten().tolist()


def update(**changes: list[object]) -> SimpleNamespace:
    return SimpleNamespace(**{"batch_size": 4, "removed": [], "added": [], "moved": [], **changes})


def test_v1_masks_each_row_by_its_own_request_as_requests_join_leave_and_move() -> None:
    from vllm.v1.sample.logits_processor.interface import MoveDirectionality

    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    processor.update_state(
        update(added=[(0, params(TEXT), [], []), (1, params(IMAGE), [], []), (2, params(None), [], [])])
    )
    logits = processor.apply(torch.zeros(3, 12))
    assert allowed(logits, 0) == ALLOWED[TEXT]
    assert allowed(logits, 1) == ALLOWED[IMAGE]
    assert allowed(logits, 2) == list(range(12))
    processor.update_state(update(removed=[0], moved=[(1, 0, MoveDirectionality.UNIDIRECTIONAL)]))
    logits = processor.apply(torch.zeros(1, 12))
    assert allowed(logits, 0) == ALLOWED[IMAGE]


def test_v2_masks_rows_by_slot_and_forgets_a_slots_last_occupant() -> None:
    processor = masking.TextImageMaskV2(None, SimpleNamespace(device=torch.device("cpu")))
    assert processor.add_request(5, params(TEXT))
    assert processor.add_request(2, params(IMAGE))
    logits = processor.apply(torch.zeros(2, 12), SimpleNamespace(idx_mapping_np=np.array([2, 5])))
    assert (allowed(logits, 0), allowed(logits, 1)) == (ALLOWED[IMAGE], ALLOWED[TEXT])
    assert not processor.add_request(5, params(None))
    logits = processor.apply(torch.zeros(2, 12), SimpleNamespace(idx_mapping_np=np.array([5, 2])))
    assert (allowed(logits, 0), allowed(logits, 1)) == (list(range(12)), ALLOWED[IMAGE])


@pytest.mark.parametrize(
    "value", [{"low": 5, "high": 5, "banned": []}, {"low": -1, "high": 3, "banned": []}, {"low": 1}]
)
def test_a_malformed_mask_is_refused_when_the_request_arrives(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cxr_mask"):
        masking.TextImageMaskV1.validate_params(SimpleNamespace(extra_args={"cxr_mask": value}))


def test_v1_leaves_the_one_id_that_it_has_drawn_and_draws_anew_as_ids_are_written() -> None:
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    written: list[int] = []
    drawn = SimpleNamespace(extra_args=IMAGE.extra_args() | masking.draw_args(masking.TokenDraw(1.0, 1.0, 3)))
    processor.update_state(update(added=[(0, params(TEXT), [], []), (1, drawn, [], written)]))
    taken = []
    for step in range(40):
        logits = processor.apply(torch.zeros(2, 12))
        assert allowed(logits, 0) == ALLOWED[TEXT]
        (one,) = allowed(logits, 1)
        assert int(logits[1].argmax()) == one
        taken.append(one)
        written.append(step)
    assert set(taken) == set(ALLOWED[IMAGE])
    written.clear()
    (again,) = allowed(processor.apply(torch.zeros(2, 12)), 1)
    assert again == taken[0]


@pytest.mark.parametrize(
    "value",
    [{"temperature": 0.0, "top_p": 1.0, "seed": 1}, {"temperature": 1.0, "top_p": 0.0, "seed": 1}, {"seed": 1}],
)
def test_a_malformed_drawing_is_refused_when_the_request_arrives(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cxr_draw"):
        masking.TextImageMaskV1.validate_params(SimpleNamespace(extra_args={"cxr_draw": value}))


def test_v2_refuses_what_it_would_not_draw() -> None:
    drawn = SimpleNamespace(extra_args=IMAGE.extra_args() | masking.draw_args(masking.TokenDraw(1.0, 1.0, 3)))
    masking.TextImageMaskV2.validate_params(params(IMAGE))
    with pytest.raises(ValueError, match="V1"):
        masking.TextImageMaskV2.validate_params(drawn)
