"""Which labels a text states, by its words."""

import pytest

from models.labels import mentioned_labels, stated_labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("No effusion. There is cardiomegaly.", {"cardiomegaly"}),
        ("Bacterial pneumonia.", {"bacterial pneumonia"}),
        ("COVID-19 pneumonia.", {"COVID-19"}),
        ("Mass without consolidation; nodules seen", {"mass", "nodule"}),
        ("No mass, but edema is present", {"edema"}),
        ("Normal chest radiograph.", {"normal"}),
        ("Small pleural effusion", {"pleural effusion"}),
        ("Nothing.", set()),
    ],
)
def test_labels_are_read_with_their_negations(text: str, labels: set[str]) -> None:
    assert stated_labels(text) == labels


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("No effusion. There is cardiomegaly.", {"cardiomegaly"}, {"effusion"}),
        ("Mass without consolidation or edema; nodules seen", {"mass", "nodule"}, {"consolidation", "edema"}),
        ("No mass, but edema is present", {"edema"}, {"mass"}),
        ("No pleural effusion.", set(), {"pleural effusion"}),
        ("Normal chest radiograph.", set(), set()),
    ],
)
def test_what_is_absent_is_told_from_what_is_not_mentioned(text: str, present: set[str], absent: set[str]) -> None:
    assert mentioned_labels(text) == (present, absent)
