"""How far reports agree: by the labels that they state, else by their words."""

import pytest

from models.agreement import agreement, agrees

NORMAL, BACTERIAL, VIRAL = (
    "IMPRESSION: Normal chest radiograph.",
    "IMPRESSION: Bacterial pneumonia.",
    "Viral pneumonia.",
)


@pytest.mark.parametrize(
    ("sentence", "sample", "same"),
    [
        # Labels, whatever the words.
        ("Bacterial pneumonia.", "Findings consistent with bacterial pneumonia.", True),
        ("Bacterial pneumonia.", VIRAL, False),
        ("Normal chest radiograph.", "No evidence of pneumonia.", True),
        ("Normal chest radiograph.", "Normal chest but for a small effusion.", False),
        ("Consolidation, bacterial pneumonia.", "Bacterial pneumonia.", False),
        ("Consolidation, bacterial pneumonia.", "FINDINGS: There is consolidation.\n" + BACTERIAL, True),
        # A negation is another statement, and silence is none.
        ("No pleural effusion.", "There is pleural effusion.", False),
        ("There is pleural effusion.", "No pleural effusion.", False),
        ("No pleural effusion.", "The lungs are without pleural effusion.", True),
        ("No pleural effusion.", "There is a mass.", False),
        ("No pneumonia.", "There is a mass. No pneumonia.", True),
        ("Normal chest, no pneumonia.", "There is a mass. No pneumonia.", False),
        # What follows from what is stated, and what does not.
        ("No pleural effusion.", NORMAL, True),
        ("No viral pneumonia.", "There is a mass. No pneumonia.", True),
        ("There is pneumonia.", BACTERIAL, True),
        ("Bacterial pneumonia.", "There is pneumonia.", False),
        # Words, where no label is named.
        ("The heart is large.", "FINDINGS: the heart is  large", True),
        ("The heart is large.", "The heart is not large.", False),
    ],
)
def test_a_sample_states_the_same_or_does_not(sentence: str, sample: str, same: bool) -> None:
    (found,) = agreement(sentence, [sample]).sentences
    assert found.support == float(same)


def test_each_sentence_has_the_share_of_the_samples_that_state_it() -> None:
    report = "FINDINGS: AP view of a child. Focal consolidation is present.\nIMPRESSION: Bacterial pneumonia."
    samples = [report, BACTERIAL, "AP view of a child. " + VIRAL, NORMAL]
    found = agreement(report, samples)
    assert [(one.section, one.text, one.support) for one in found.sentences] == [
        ("findings", "AP view of a child.", 0.5),
        ("findings", "Focal consolidation is present.", 0.25),
        ("impression", "Bacterial pneumonia.", 0.5),
    ]
    assert found.samples == 4


def test_doubt_is_of_the_sentences_that_name_a_label_and_of_all_where_none_does() -> None:
    assert agreement("AP view. Bacterial pneumonia.", [BACTERIAL, BACTERIAL, BACTERIAL, VIRAL]).doubt == 0.25
    assert agreement("AP view. The heart is large.", ["AP view.", "PA view."]).doubt == 0.75


def test_a_report_without_a_sentence_is_doubted() -> None:
    assert agreement("", ["", ""]).doubt == 1.0


def test_without_samples_there_is_no_agreement() -> None:
    with pytest.raises(ValueError, match="sample"):
        agreement(NORMAL, [])


@pytest.mark.parametrize(
    ("statement", "other"),
    [
        ("Abnormal chest radiograph.", "Normal chest radiograph."),
        ("Not a normal chest.", "Normal chest radiograph."),
        ("Pneumonia is absent.", "Pneumonia."),
        ("Cardiomegaly, no pneumonia.", "Pneumonia without cardiomegaly."),
        ("There is airspace opacity.", "The lungs are clear. Normal chest radiograph."),
        ("Viral pneumonia.", "Bacterial pneumonia."),
    ],
)
def test_what_contradicts_a_sentence_does_not_support_it(statement: str, other: str) -> None:
    for one, against in ((statement, other), (other, statement)):
        assert agreement(f"IMPRESSION: {one}", [f"IMPRESSION: {against}"] * 3).doubt == 1.0


@pytest.mark.parametrize(
    ("statement", "other"),
    [
        ("There is airspace opacity.", "Focal consolidation is present."),
        ("Lung opacity.", "Bacterial pneumonia."),
        ("Abnormal chest radiograph.", "Bacterial pneumonia."),
        ("No viral pneumonia.", "Bacterial pneumonia."),
        ("The lungs are clear.", "Normal chest radiograph."),
    ],
)
def test_what_implies_a_sentence_supports_it(statement: str, other: str) -> None:
    assert agreement(f"IMPRESSION: {statement}", [f"IMPRESSION: {other}"] * 3).doubt == 0.0


@pytest.mark.parametrize(
    ("asked", "read", "told"),
    [
        ("Abnormal chest radiograph.", "IMPRESSION: Normal chest radiograph.", False),
        ("Abnormal chest radiograph.", "IMPRESSION: Viral pneumonia.", True),
        ("Normal.", "IMPRESSION: Normal chest radiograph.", True),
        ("Normal.", "IMPRESSION: COVID-19 pneumonia.", False),
        ("No evidence of viral pneumonia.", "IMPRESSION: Normal chest radiograph.", True),
        ("No evidence of viral pneumonia.", "IMPRESSION: Viral pneumonia.", False),
        ("Pneumonia.", "IMPRESSION: Viral pneumonia.", True),
        ("Bacterial pneumonia.", "IMPRESSION: Viral pneumonia.", False),
        ("Cardiomegaly.", "IMPRESSION: Cardiomegaly and effusion.", True),
        ("Cardiomegaly.", "IMPRESSION: Viral pneumonia.", None),
        ("A chest film.", "IMPRESSION: Viral pneumonia.", None),
    ],
)
def test_a_report_agrees_with_a_request_where_it_states_what_was_asked_for(
    asked: str, read: str, told: bool | None
) -> None:
    assert agrees(asked, read) is told
