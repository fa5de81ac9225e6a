"""The watermark behind both of vLLM's interfaces: where it is added, to whose logits. No engine is started."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.engine import Marking
from app.engine.rows import Mask, PairRow, draw_args, marking_args
from app.engine.sampling import TokenDraw, sample
from models.watermark import Watermark

pytestmark = pytest.mark.engine
masking = pytest.importorskip("app.engine.masking", reason="vLLM is not installed", exc_type=ImportError)

TEXT, IMAGE = Mask(0, 6), Mask(6, 70)
MARK = Watermark(b"0123456789abcdef", 3.0)
WIDTH = 64


def params(mask: Mask, *, first: int | None = None, seed: int | None = None, **extra: object) -> SimpleNamespace:
    found = mask.extra_args() | extra
    if first is not None:
        found |= marking_args(Marking(MARK, first))
    if seed is not None:
        found |= draw_args(TokenDraw(0.9, 0.9, seed))
    return SimpleNamespace(extra_args=found)


def of_pair(*, conditional: bool, first: int) -> SimpleNamespace:
    return params(IMAGE, first=first, seed=3, **PairRow("one", conditional, 2.0).extra_args())


def update(*rows: tuple[object, ...]) -> SimpleNamespace:
    return SimpleNamespace(batch_size=len(rows), removed=[], added=list(rows), moved=[])


def v2(slots: dict[int, SimpleNamespace], prompt: int) -> object:
    states = SimpleNamespace(device=torch.device("cpu"), prompt_len=SimpleNamespace(np=np.full(8, prompt, np.int32)))
    processor = masking.TextImageMaskV2(None, states)
    for slot, one in slots.items():
        processor.add_request(slot, one)
    return processor


def bias(place: int) -> torch.Tensor:
    return torch.from_numpy(MARK.bias([place], WIDTH)[0])


def taken(logits: torch.Tensor, row: int) -> int:
    (one,) = torch.isfinite(logits[row]).nonzero().flatten().tolist()
    return int(one)


def test_v1_marks_the_rows_that_ask_for_it_by_their_own_place() -> None:
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    written = [1] * 5
    processor.update_state(
        update(
            (0, params(IMAGE), [], []),
            (1, params(IMAGE, first=32), [], written),
            (2, params(TEXT), [], []),
            (3, params(IMAGE, first=0), [], []),
        )
    )
    given = torch.randn(4, 72)
    logits = processor.apply(given.clone())
    assert torch.equal(logits[0, 6:70], given[0, 6:70])
    assert torch.equal(logits[1, 6:70], given[1, 6:70] + bias(37))
    assert torch.equal(logits[2, :6], given[2, :6])
    assert torch.equal(logits[3, 6:70], given[3, 6:70] + bias(0))
    written.append(1)
    assert torch.equal(processor.apply(given.clone())[1, 6:70], given[1, 6:70] + bias(38))


def test_v1_draws_from_the_marked_logits() -> None:
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    written: list[int] = []
    processor.update_state(update((0, params(IMAGE, first=4, seed=8), [], written)))
    for step in range(20):
        given = torch.randn(1, 72, generator=torch.Generator().manual_seed(step))
        wanted = sample(given[:, 6:70] + bias(4 + step), [TokenDraw(0.9, 0.9, 8)], [step])
        assert taken(processor.apply(given.clone()), 0) == 6 + int(wanted)
        written.append(step)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_v1_and_v2_mark_a_pair_once_after_it_was_combined(order: tuple[int, int]) -> None:
    asked, without = order
    given = torch.randn(2, 72)
    combined = given[without, 6:70] + 2.0 * (given[asked, 6:70] - given[without, 6:70])
    wanted = 6 + int(sample((combined + bias(16 + 7))[None], [TokenDraw(0.9, 0.9, 3)], [7]))
    rows = {asked: of_pair(conditional=True, first=16), without: of_pair(conditional=False, first=16)}
    first = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    first.update_state(update(*((row, one, [], [1] * 7) for row, one in rows.items())))
    assert [taken(first.apply(given.clone()), row) for row in (0, 1)] == [wanted, wanted]
    second = v2(rows, prompt=5)
    context = SimpleNamespace(idx_mapping_np=np.array([0, 1]), seq_lens_upper_bound_np=np.array([12, 12]))
    assert [taken(second.apply(given.clone(), context), row) for row in (0, 1)] == [wanted, wanted]


def test_v2_marks_the_rows_that_ask_for_it_by_their_own_place() -> None:
    processor = v2({5: params(IMAGE, first=32), 2: params(IMAGE), 3: params(TEXT)}, prompt=4)
    given = torch.randn(3, 72)
    context = SimpleNamespace(idx_mapping_np=np.array([2, 5, 3]), seq_lens_upper_bound_np=np.array([9, 4 + 6, 8]))
    logits = processor.apply(given.clone(), context)
    assert torch.equal(logits[0, 6:70], given[0, 6:70])
    assert torch.equal(logits[1, 6:70], given[1, 6:70] + bias(38))
    assert torch.equal(logits[2, :6], given[2, :6])


@pytest.mark.parametrize("value", [{"key": "no hex", "strength": 1.0, "first": 0}, {"key": "00"}, {"strength": 1.0}])
def test_a_malformed_mark_is_refused_when_the_request_arrives(value: dict[str, object]) -> None:
    arguments = SimpleNamespace(extra_args=IMAGE.extra_args() | {"cxr_watermark": value})
    for processor in (masking.TextImageMaskV1, masking.TextImageMaskV2):
        with pytest.raises(ValueError, match=r"cxr_watermark|hex"):
            processor.validate_params(arguments)


def test_a_mark_without_a_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="mask"):
        masking.TextImageMaskV1.validate_params(SimpleNamespace(extra_args=marking_args(Marking(MARK))))
