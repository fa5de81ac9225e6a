"""Evidence in the card: rows where it was measured, none where not."""

from models.evaluation.card import _evidence

FIGURE = {"value": 0.03, "interval": [0.02, 0.04], "count": 100}


def test_the_card_has_how_much_better_than_random_and_centre_a_map_is() -> None:
    kinds = {kind: {"random_minus_map": FIGURE, "centre_minus_map": FIGURE} for kind in ("statement", "question")}
    rows = _evidence({"deletion": kinds})
    assert len(rows) == 4
    assert rows[0].startswith("| evidence for a statement: ")
    assert rows[0].endswith("random order less that of the map | 0.03 | 0.02 to 0.04 | 100 |")


def test_a_bundle_whose_evidence_was_not_measured_has_no_row() -> None:
    assert _evidence(None) == []
