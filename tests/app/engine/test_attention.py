"""Which attention kernel is used: by timings that hold for card, vLLM and geometry."""

from pathlib import Path

import pytest

from app.engine.attention import VLLMS_CHOICE, Choice, Geometry, chosen, fastest, keep

HEADS = Geometry(card="NVIDIA H200", vllm="0.32.0", head_size=80, heads=32, key_value_heads=32, dtype="bfloat16")


def choice(kernel: str | None, geometry: Geometry = HEADS) -> Choice:
    return Choice(geometry=geometry, seconds={VLLMS_CHOICE: {1: 0.01, 32: 0.02}}, kernel=kernel)


@pytest.mark.parametrize(
    ("others", "best"),
    [
        ({}, None),
        ({"TRITON_ATTN": {1: 0.010, 64: 0.020}}, "TRITON_ATTN"),
        ({"TRITON_ATTN": {1: 0.010, 64: 0.029}}, None),
        ({"TRITON_ATTN": {1: 0.010, 64: 0.020}, "FLASHINFER": {1: 0.009, 64: 0.020}}, "FLASHINFER"),
        ({"FLEX_ATTENTION": {1: 0.001, 64: 0.900}}, None),
    ],
    ids=["alone", "faster", "within noise", "fastest", "fast alone"],
)
def test_the_fastest_kernel_over_all_batches_is_chosen_where_it_gains(
    others: dict[str, dict[int, float]], best: str | None
) -> None:
    assert fastest({VLLMS_CHOICE: {1: 0.010, 64: 0.030}, **others}) == best


@pytest.mark.parametrize(
    "change",
    [{"card": "NVIDIA H100"}, {"vllm": "0.33.0"}, {"head_size": 64}, {"key_value_heads": 8}, {"dtype": "float16"}],
)
def test_a_choice_holds_for_its_geometry_alone(tmp_path: Path, change: dict[str, object]) -> None:
    keep(tmp_path, choice("TRITON_ATTN"))
    other = HEADS.model_copy(update=change)
    assert (chosen(tmp_path, HEADS), chosen(tmp_path, other)) == ("TRITON_ATTN", None)
    keep(tmp_path, choice("FLASHINFER", other))
    assert (chosen(tmp_path, HEADS), chosen(tmp_path, other)) == ("TRITON_ATTN", "FLASHINFER")


def test_a_later_choice_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    keep(tmp_path / "new", choice("TRITON_ATTN"))
    keep(tmp_path / "new", choice(None))
    assert chosen(tmp_path / "new", HEADS) is None


@pytest.mark.parametrize("text", ["", "{", "7", '[{"kernel": "X"}]', "\x00"])
def test_without_timings_that_can_be_read_vllm_chooses(tmp_path: Path, text: str) -> None:
    assert chosen(tmp_path, HEADS) is None
    (tmp_path / "attention.json").write_text(text)
    assert chosen(tmp_path, HEADS) is None
    keep(tmp_path, choice("TRITON_ATTN"))
    assert chosen(tmp_path, HEADS) == "TRITON_ATTN"
