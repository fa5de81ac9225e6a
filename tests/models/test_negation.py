"""Which words of a text are affirmed and which negated."""

import pytest

from models.labels import mentioned_labels

FINDINGS = {"e": "effusion", "p": "pneumonia", "c": "cardiomegaly", "f": "fracture", "x": "pneumothorax"}


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        # In front of the finding.
        *((f"{words} pneumonia.", "", "p") for words in ("No", "no evidence of", "Without", "Negative for", "Free of")),
        *((f"{words} pneumonia.", "", "p") for words in ("No sign of", "Absence of", "Resolved", "This rules out")),
        ("There isn't pneumonia.", "", "p"),
        ("It isn\u2019t pneumonia.", "", "p"),
        ("It is not pneumonia.", "", "p"),
        ("Neither pneumonia nor effusion.", "", "pe"),
        # Behind it.
        *((f"Pneumonia is {words}.", "", "p") for words in ("absent", "excluded", "ruled out", "not seen", "resolved")),
        *((f"Pneumonia {words}.", "", "p") for words in ("has been ruled out", "has completely resolved", "absent")),
        ("Pneumonia is no longer seen.", "", "p"),
        ("Pneumonia was not clearly identified.", "", "p"),
        ("Effusion: none", "", "e"),
        ("Pneumonia, effusion and fracture are absent.", "", "pef"),
        # Its scope.
        ("No pneumonia, effusion or fracture.", "", "pef"),
        ("No pneumonia, effusion, fracture.", "", "pef"),
        ("Pneumonia, no effusion, cardiomegaly.", "pc", "e"),
        ("Pneumonia, no effusion, fracture or pneumothorax.", "p", "efx"),
        ("No effusion, there is cardiomegaly.", "c", "e"),
        ("No effusion and there is cardiomegaly.", "c", "e"),
        ("No effusion, but cardiomegaly.", "c", "e"),
        ("Pneumonia without effusion.", "p", "e"),
        ("Pneumonia is present, effusion is absent.", "p", "e"),
        ("Cardiomegaly, pneumonia is excluded.", "c", "p"),
        ("No abnormality other than cardiomegaly.", "c", ""),
        ("No effusion. Cardiomegaly.", "c", "e"),
        ("No effusion; cardiomegaly", "c", "e"),
        ("No effusion\ncardiomegaly", "c", "e"),
        ("An effusion of 1.5 cm, no fracture.", "e", "f"),
        # What only looks like one.
        ("No change in effusion.", "e", ""),
        ("No significant interval increase of the effusion.", "e", ""),
        ("Not only pneumonia, effusion too.", "pe", ""),
        ("No, pneumonia.", "p", ""),
        ("No, there is no pneumonia.", "", "p"),
        ("Yes, there is pneumonia.", "p", ""),
        # Neither.
        ("Pneumonia cannot be excluded.", "", ""),
        ("Effusion is not entirely ruled out.", "", ""),
        ("", "", ""),
    ],
)
def test_a_negation_reaches_the_findings_in_its_scope(text: str, present: str, absent: str) -> None:
    found = mentioned_labels(text)
    assert found == ({FINDINGS[one] for one in present}, {FINDINGS[one] for one in absent})
