"""Which labels a text states, by its words."""

import pytest

from models.labels import LABELS, mentioned_labels, stated_labels


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


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("There is airspace opacity.", {"lung opacity"}, set()),
        ("Diffuse interstitial opacities.", {"lung opacity"}, set()),
        ("No focal opacity is seen.", set(), {"lung opacity"}),
        ("The lungs are clear.", set(), {"lung opacity"}),
        ("The lungs are well aerated and clear.", set(), {"lung opacity"}),
        ("The lungs are not clear.", set(), set()),
        ("The heart is enlarged.", {"cardiomegaly"}, set()),
        ("The heart is not enlarged.", set(), {"cardiomegaly"}),
        ("Heart size is normal.", set(), {"cardiomegaly"}),
        ("Infiltrates and oedema", {"infiltration", "edema"}, set()),
        ("Masses.", {"mass"}, set()),
        ("An endotracheal tube.", {"support devices"}, set()),
        ("Bacterial or viral pneumonia.", {"bacterial pneumonia", "viral pneumonia"}, set()),
    ],
)
def test_labels_are_known_by_other_words(text: str, present: set[str], absent: set[str]) -> None:
    assert mentioned_labels(text) == (present, absent)


@pytest.mark.parametrize("label", [label for label in LABELS if label != "normal"])
def test_each_label_is_known_by_its_name(label: str) -> None:
    assert mentioned_labels(f"There is {label}.")[0] == {label}
    assert mentioned_labels(f"No {label}.")[1] == {label}
