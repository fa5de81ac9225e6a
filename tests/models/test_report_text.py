"""Sections and sentences of reports."""

import pytest

from models.report_text import sections, sentences

REPORT = "FINDINGS: AP view of a child. Nodule of 1.5 cm.\nIMPRESSION: Nodule"


def test_a_report_has_its_sections_where_it_has_headings() -> None:
    assert sections(REPORT) == {"findings": "AP view of a child. Nodule of 1.5 cm.", "impression": "Nodule"}
    assert sections("The lungs are clear.") == {"findings": None, "impression": None}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (REPORT, [("findings", "AP view of a child."), ("findings", "Nodule of 1.5 cm."), ("impression", "Nodule")]),
        (
            "Two lines\nof text. Really?  Yes!",
            [(None, "Two lines"), (None, "of text."), (None, "Really?"), (None, "Yes!")],
        ),
        ("Before.\nimpression: After.", [(None, "Before."), ("impression", "After.")]),
        ("FINDINGS:\n\n...\nIMPRESSION: Normal.", [("impression", "Normal.")]),
        ("", []),
    ],
)
def test_sentences_stand_behind_their_section(text: str, found: list[tuple[str | None, str]]) -> None:
    assert sentences(text) == found
