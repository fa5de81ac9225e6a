"""What a record says of a finding: there, not there, or nothing."""

from models.conditions import KINDS, NORMAL, PNEUMONIA
from models.data.dataset import Record
from models.labels import LABELS


def presence(record: Record, name: str, question: str = "") -> bool | None:
    """Whether a radiograph has the finding `name`, by the record's own answer to `question` where it has one, else by
    its labels; None where neither says.

    Labels are read as the questions of the training are (`models.data.wording`): a normal film has no finding; films
    labelled with other findings may have an unlabelled pneumonia; the kinds of pneumonia exclude each other.
    """
    for asked in record.questions:
        word = asked.answer.strip().casefold().split(",")[0].rstrip(".")
        if question and asked.question.casefold() == question.casefold() and word in ("yes", "no"):
            return word == "yes"
    labels = record.labels
    if not labels or name not in LABELS:
        return None
    if name in labels or name == NORMAL or NORMAL in labels:
        return name in labels
    if name == "pneumonia":
        return True if any(label in PNEUMONIA for label in labels) else None
    one_kind = record.condition in KINDS
    return False if one_kind == (name in KINDS) else None
