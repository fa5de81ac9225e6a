"""Items of code sequences, told by their code values: the meaning is for display (PS3.3 8.3)."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from app.dicom.values import items_of, prose_of, text_of

# Sequences of modifiers in the items of others (PS3.3 C.8.11.5, C.7.6.30).
MODIFIERS = {
    "ViewCodeSequence": "ViewModifierCodeSequence",
    "PatientOrientationCodeSequence": "PatientOrientationModifierCodeSequence",
}
# What SNOMED was called over the years (PS3.16 8): SCT by concept identifiers, the others by the older axis codes.
SNOMED = frozenset({"SCT", "SRT", "SNM3", "SNM", "99SDM"})


@dataclass(frozen=True)
class Code:
    """A coded concept. `value` and `scheme` are in capitals; `meaning` is free text, not to be repeated to users;
    `modifiers` are those of a view or of how the patient lies.
    """

    value: str
    scheme: str
    meaning: str
    modifiers: tuple["Code", ...] = ()


def codes_of(dataset: Dataset, keyword: str) -> list[Code]:
    """The codes of a sequence. Long codes count as well (PS3.3 Table 8.8-1)."""
    found = []
    for item in items_of(dataset, keyword):
        value = text_of(item, "CodeValue") or text_of(item, "LongCodeValue") or ""
        scheme = (text_of(item, "CodingSchemeDesignator") or "").upper()
        modifiers = tuple(codes_of(item, MODIFIERS[keyword])) if keyword in MODIFIERS else ()
        found.append(Code(value.upper(), scheme, prose_of(item, "CodeMeaning"), modifiers))
    return found
