"""Items of code sequences, told by their code values: the meaning is for display (PS3.3 8.3)."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from app.dicom.values import items_of, prose_of, text_of

# What SNOMED was called over the years (PS3.16 8): SCT by concept identifiers, the others by the older axis codes.
SNOMED = frozenset({"SCT", "SRT", "SNM3", "SNM", "99SDM"})


@dataclass(frozen=True)
class Code:
    """A coded concept. `value` and `scheme` are in capitals; `meaning` is free text, not to be repeated to users."""

    value: str
    scheme: str
    meaning: str


def codes_of(dataset: Dataset, keyword: str) -> list[Code]:
    """The codes of a sequence. Long codes count as well (PS3.3 Table 8.8-1)."""
    found = []
    for item in items_of(dataset, keyword):
        value = text_of(item, "CodeValue") or text_of(item, "LongCodeValue") or ""
        scheme = (text_of(item, "CodingSchemeDesignator") or "").upper()
        found.append(Code(value.upper(), scheme, prose_of(item, "CodeMeaning")))
    return found
