"""Which condition a text states, by its words."""

import pytest

from models.conditions import stated_condition, states_abnormal


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("Normal chest radiograph.", "normal"),
        ("Normal.", "normal"),
        ("IMPRESSION: Normal.", "normal"),
        ("normal", "normal"),
        ("Normal frontal chest X-ray of a child.", "normal"),
        ("Normal radiograph.", "normal"),
        ("The chest is normal.", "normal"),
        ("The chest radiograph is entirely normal.", "normal"),
        ("It is normal.", "normal"),
        ("No, it is normal.", "normal"),
        ("Unremarkable chest.", "normal"),
        ("No evidence of pneumonia.", "normal"),
        ("Normal chest, no pneumonia.", "normal"),
        ("Pneumonia is absent.", "normal"),
        ("No acute cardiopulmonary process.", "normal"),
        ("No abnormality is seen.", "normal"),
        ("Bacterial pneumonia.", "bacterial pneumonia"),
        ("No, viral pneumonia.", "viral pneumonia"),
        ("Not bacterial but viral pneumonia.", "viral pneumonia"),
        ("COVID-19 pneumonia.", "COVID-19"),
        ("covid pneumonia", "COVID-19"),
        ("Viral pneumonia, COVID-19.", "COVID-19"),
        ("Abnormal chest radiograph.", None),
        ("Not a normal chest radiograph.", None),
        ("This is not a normal chest.", None),
        ("The chest isn't normal.", None),
        ("No viral pneumonia.", None),
        ("No evidence of viral pneumonia.", None),
        ("No sign of COVID-19.", None),
        ("without bacterial pneumonia", None),
        ("No bacterial or viral pneumonia.", None),
        ("Bacterial pneumonia is excluded.", None),
        ("Viral pneumonia cannot be excluded.", None),
        ("Bacterial or viral pneumonia.", None),
        ("Pneumonia.", None),
        ("Normal heart size.", None),
        ("The chest tube is in normal position.", None),
        ("", None),
    ],
)
def test_a_condition_is_stated_where_the_text_affirms_it_alone(text: str, condition: str | None) -> None:
    assert stated_condition(text) == condition


@pytest.mark.parametrize(
    ("text", "abnormal"),
    [
        ("Abnormal chest radiograph.", True),
        ("Not a normal chest.", True),
        ("The chest is not normal.", True),
        ("Several abnormalities.", True),
        ("No abnormality.", False),
        ("Normal chest.", False),
        ("Pneumonia.", False),
    ],
)
def test_a_chest_that_is_not_normal_is_told(text: str, abnormal: bool) -> None:
    assert states_abnormal(text) is abnormal
