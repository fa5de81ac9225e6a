"""The masks behind both of vLLM's interfaces. They import vLLM, but start no engine."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.engine.protocol import Marking
from app.engine.rows import Mask, PairRow, draw_args, marking_args
from app.engine.sampling import TokenDraw, sample
from models.watermark import Watermark

pytestmark = pytest.mark.engine
masking = pytest.importorskip("app.engine.masking", reason="vLLM is not installed", exc_type=ImportError)

TEXT = Mask(0, 6, (2,))
IMAGE = Mask(6, 10)
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
    drawn = SimpleNamespace(extra_args=IMAGE.extra_args() | draw_args(TokenDraw(1.0, 1.0, 3)))
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
    drawn = SimpleNamespace(extra_args=IMAGE.extra_args() | draw_args(TokenDraw(1.0, 1.0, 3)))
    masking.TextImageMaskV2.validate_params(params(IMAGE))
    with pytest.raises(ValueError, match="V1"):
        masking.TextImageMaskV2.validate_params(drawn)


def guided(pair: str, *, conditional: bool, scale: float = 2.0, seed: int | None = 3) -> SimpleNamespace:
    draw = {} if seed is None else draw_args(TokenDraw(0.7, 0.9, seed))
    return SimpleNamespace(extra_args=IMAGE.extra_args() | PairRow(pair, conditional, scale).extra_args() | draw)


def plain(asked: torch.Tensor, without: torch.Tensor, scale: float, seed: int, step: int) -> int:
    """The id that a pair takes, by the formula."""
    combined = without[6:10] + scale * (asked[6:10] - without[6:10])
    return 6 + int(sample(combined[None], [TokenDraw(0.7, 0.9, seed)], [step]))


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 0, 4, 2, 1), (4, 3, 2, 1, 0)])
def test_v1_draws_each_pair_once_by_the_formula_in_any_order_of_rows(order: tuple[int, ...]) -> None:
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    a, b, text, c, d = order
    written: list[int] = []
    rows = [
        (a, guided("one", conditional=True), [], written),
        (b, guided("one", conditional=False), [], written),
        (text, params(TEXT), [], []),
        (c, guided("two", conditional=False, scale=1.5, seed=8), [], written),
        (d, guided("two", conditional=True, scale=1.5, seed=8), [], written),
    ]
    processor.update_state(update(batch_size=5, added=rows))
    for step in range(30):
        given = torch.randn(5, 12, generator=torch.Generator().manual_seed(step)) * 3.0
        logits = processor.apply(given.clone())
        assert allowed(logits, a) == allowed(logits, b) == [plain(given[a], given[b], 2.0, 3, step)]
        assert allowed(logits, c) == allowed(logits, d) == [plain(given[d], given[c], 1.5, 8, step)]
        assert allowed(logits, text) == ALLOWED[TEXT]
        written.append(step)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 0, 4, 2, 1)])
def test_v1_draws_from_the_image_ids_alone_what_it_draws_from_the_whole_vocabulary(order: tuple[int, ...]) -> None:
    a, b, drawn, likeliest, alone = order
    written: list[int] = []
    own = draw_args(TokenDraw(1.0, 0.9, 5)) | marking_args(Marking(Watermark(b"k" * 32, 2.0), 0))
    rows = [
        (a, guided("one", conditional=True), [], written),
        (b, guided("one", conditional=False), [], written),
        (drawn, SimpleNamespace(extra_args=IMAGE.extra_args() | own), [], written),
        (likeliest, params(IMAGE), [], written),
        (alone, guided("two", conditional=True), [], written),
    ]
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    processor.update_state(update(batch_size=5, added=rows))
    for step in range(30):
        given = torch.randn(5, 12, generator=torch.Generator().manual_seed(step)) * 3.0
        whole = processor.apply(given.clone()).argmax(-1)
        narrow = processor.draw(given[:, IMAGE.low : IMAGE.high].clone(), IMAGE.low)
        assert narrow.tolist() == whole.tolist()
        assert int(narrow[alone]) == 0
        written.append(step)


def test_v1_takes_the_likeliest_id_of_a_pair_that_is_not_to_be_drawn() -> None:
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    rows = [(number, guided("one", conditional=number == 0, seed=None), [], []) for number in (0, 1)]
    processor.update_state(update(added=rows))
    logits = torch.zeros(2, 12)
    logits[0, 7], logits[0, 8], logits[1, 7] = 5.0, 4.0, 4.5
    logits = processor.apply(logits)  # 4.5 + 2 * 0.5 against 0 + 2 * 4
    assert allowed(logits, 0) == allowed(logits, 1) == [8]


def test_v1_never_draws_from_a_row_that_is_alone_or_out_of_step() -> None:
    processor = masking.TextImageMaskV1(None, torch.device("cpu"), False)
    rows = [
        (0, guided("one", conditional=True), [], []),
        (1, guided("two", conditional=True), [], [1]),
        (2, guided("two", conditional=False), [], [1, 2]),
    ]
    processor.update_state(update(added=rows))
    logits = processor.apply(torch.randn(3, 12))
    assert [allowed(logits, row) for row in range(3)] == [[0], [0], [0]]


def test_v2_draws_a_pair_as_v1_does_and_leaves_the_others_to_vllm() -> None:
    prompts = np.zeros(8, np.int32)
    prompts[[2, 5, 7]] = 4, 11, 3
    states = SimpleNamespace(device=torch.device("cpu"), prompt_len=SimpleNamespace(np=prompts))
    processor = masking.TextImageMaskV2(None, states)
    asked, without = (guided("one", conditional=side) for side in (True, False))
    masking.TextImageMaskV2.validate_params(asked)
    assert processor.add_request(5, without)
    assert processor.add_request(2, asked)
    assert processor.add_request(7, params(IMAGE))
    given = torch.randn(3, 12)
    context = SimpleNamespace(idx_mapping_np=np.array([7, 5, 2]), seq_lens_upper_bound_np=np.array([9, 11 + 6, 4 + 6]))
    logits = processor.apply(given.clone(), context)
    assert allowed(logits, 0) == ALLOWED[IMAGE]
    assert torch.equal(logits[0, 6:10], given[0, 6:10])
    assert allowed(logits, 1) == allowed(logits, 2) == [plain(given[2], given[1], 2.0, 3, 6)]
    apart = SimpleNamespace(idx_mapping_np=np.array([5, 2]), seq_lens_upper_bound_np=np.array([11 + 6, 4 + 5]))
    logits = processor.apply(torch.randn(2, 12), apart)
    assert allowed(logits, 0) == allowed(logits, 1) == [0]


@pytest.mark.parametrize(
    "value",
    [{"pair": "a", "role": "other", "scale": 2.0}, {"pair": "a", "role": "conditional", "scale": 10.5}, {"pair": "a"}],
)
def test_a_malformed_pair_is_refused_when_the_request_arrives(value: dict[str, object]) -> None:
    arguments = SimpleNamespace(extra_args=IMAGE.extra_args() | {"cxr_guidance": value})
    for processor in (masking.TextImageMaskV1, masking.TextImageMaskV2):
        with pytest.raises(ValueError, match="cxr_guidance"):
            processor.validate_params(arguments)


def test_a_pair_without_a_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="mask"):
        masking.TextImageMaskV1.validate_params(SimpleNamespace(extra_args=PairRow("a", True, 2.0).extra_args()))


def test_the_first_probability_that_is_asked_for_compiles_nothing() -> None:
    from vllm.v1.sample import sampler

    masking.TextImageMaskV1(None, torch.device("cpu"), is_pin_memory=False)
    logits = torch.tensor([[0.5, 2.0, 1.0], [3.0, 1.0, 2.0]])
    found = sampler.batched_count_greater_than(logits, torch.tensor([[1.0], [3.0]]))
    assert found.tolist() == [2, 1]
    assert not hasattr(sampler.batched_count_greater_than, "_torchdynamo_orig_callable")
