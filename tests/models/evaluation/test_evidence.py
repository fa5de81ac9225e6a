"""The deletion test on made-up curves, captions that name a place, and the command on the embedded bundle's models."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli import app
from models.data.dataset import Record
from models.evaluation.deletion import area, compared, orders, removed
from models.evaluation.evidence import places_of, share_on, statement_of
from models.evaluation.likelihood import likeliest_codes, log_likelihoods
from models.evidence import regions
from tests.support.service import ROOT
from tests.support.training import write_data

COVERED = regions((4, 4), 2)
CODES = list(range(16))
DEMO = ROOT / "models" / "bundles" / "demo"


def test_most_weight_is_removed_first_and_the_centre_is_nearest_to_the_middle() -> None:
    found = orders((4, 4), COVERED, [0.1, -0.5, 0.9, 0.2], seed=0, draws=3)
    assert found["map"][0].tolist() == [2, 3, 0, 1]
    assert [sorted(order) for order in found["random"]] == [[0, 1, 2, 3]] * 3
    nine = orders((6, 6), regions((6, 6), 2), [0.0] * 9, seed=0, draws=1)
    assert nine["centre"][0][0] == 4


def test_a_curve_goes_from_the_whole_image_to_none_of_it() -> None:
    images = removed([2, 0, 1, 3], COVERED, CODES, [99] * 16)
    assert images[0] == CODES
    assert images[-1] == [99] * 16
    counts = [image.count(99) for image in images]
    assert counts == sorted(counts)
    assert images[2][8:10] == [99, 99]


def test_the_area_is_the_mean_height() -> None:
    assert area(np.array([1.0, 1.0, 1.0])) == pytest.approx(1.0)
    assert area(np.array([1.0, 0.5, 0.0])) == pytest.approx(0.5)


def test_differences_are_paired_by_film() -> None:
    films = np.linspace(0.0, 0.9, 10)
    found = compared({"map": films.tolist(), "centre": (films + 0.1).tolist(), "random": (films - 0.05).tolist()})
    assert found["centre_minus_map"] == {"value": 0.1, "interval": [0.1, 0.1], "count": 10}
    assert found["random_minus_map"]["value"] == -0.05  # type: ignore[index]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("FINDINGS: Frontal view. Consolidation is seen.", ("FINDINGS: Frontal view.", "Consolidation is seen.")),
        ("No pneumothorax.", ("", "No pneumothorax.")),
        ("Frontal view.", None),
    ],
)
def test_the_statement_is_the_first_sentence_that_names_a_finding(
    report: str, expected: tuple[str, str] | None
) -> None:
    assert statement_of(report) == expected


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Opacity in the left lower lobe.", {"left", "lower"}),
        ("Bilateral opacities, left and right.", None),
        ("Lungs are clear. Right effusion.", {"right"}),
    ],
)
def test_a_caption_names_a_place_where_it_names_no_opposite(text: str, places: set[str] | None) -> None:
    found = places_of(Record(image="0.png", split="test", group="g", findings=text))
    assert (None if found is None else set(found[1])) == places


def test_the_patients_left_is_on_the_images_right_and_weights_below_zero_do_not_count() -> None:
    weights = np.array([[-5.0, 3.0], [1.0, 0.0]])
    assert [share_on(weights, place) for place in ("left", "right", "upper", "lower")] == [0.75, 0.25, 0.75, 0.25]
    assert share_on(-np.ones((2, 2)), "left") is None


def test_the_command_writes_areas_with_intervals_and_a_plot(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", count=10)
    results = tmp_path / "results"
    given = ["evaluate", "evidence", str(DEMO), str(data), "--films", "1", "--results", str(results)]
    result = CliRunner().invoke(app, [*given, "--cache", str(tmp_path / "cache"), "--replacement", "commonest"])
    assert result.exit_code == 0, result.output
    body = json.loads((results / "evidence.json").read_text())
    assert (body["films"], body["replacement"]) == (1, "commonest")
    assert body["places"]["films"] == 0
    for test in body["deletion"].values():
        assert set(test["area"]) == {"map", "centre", "random"}
        assert test["random_minus_map"]["count"] == 1
    with Image.open(results / "deletion.png") as plot:
        assert plot.width > 400


def test_what_is_shared_is_computed_once_and_changes_nothing() -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from models.bundle import load

    bundle = load(DEMO)
    model = AutoModelForCausalLM.from_pretrained(bundle.llm, dtype=torch.float32).eval()
    chance = np.random.default_rng(0)
    first = chance.integers(0, 1024, 256).tolist()
    others = [[*first[:place], 7, *first[place + 1 :]] for place in (0, 100, 255)]
    ids = bundle.vocabulary.encode("Pneumonia.")
    prompts = [[*bundle.prompts.report(codes), *ids] for codes in (first, *others, first)]
    found = log_likelihoods(model, prompts, len(ids))
    with torch.inference_mode():
        logits = model(torch.tensor(prompts)).logits[:, -len(ids) - 1 : -1].log_softmax(-1)
    expected = logits.gather(2, torch.tensor([ids] * len(prompts))[..., None])[..., 0].sum(1)
    assert np.allclose(found, expected, atol=1e-3)
    head = bundle.prompts.before_image()
    drawn = likeliest_codes(model, head, first, bundle.vocabulary.image_offset)
    assert len(drawn) == 256
    assert all(one != other and 0 <= one < 1024 for one, other in zip(drawn, first, strict=True))
