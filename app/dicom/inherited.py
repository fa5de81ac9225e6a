"""What a document takes over from the image that it is about: as it came, since PACS and RIS know the study by it."""

import re
from collections.abc import Iterable
from typing import Any

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from app.dicom.uids import is_valid_uid

# What tells whose report it is, and on what: without it a document is unmatched, or opens a second patient.
IDENTIFIERS = frozenset(
    ("PatientID", "PatientName", "IssuerOfPatientID", "StudyInstanceUID", "AccessionNumber", "StudyID", "StudyDate",
     "StudyTime")
)  # fmt: skip
# The form of ACR-NEMA 300, which PS3.5 6.2 tells readers to take.
_OLD_DATE = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_OLD_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d(?:\.\d{1,6})?))?")
# PS3.5 6.2, of what is not free text.
FORMS = {
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "DA": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "DS": re.compile(r"(?=.{1,16}$)[+-]?\d+(\.\d*)?([eE][+-]?\d+)?"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
}
_TEXT = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
_MULTILINE = frozenset(("LT", "ST", "UT"))
_MOST_BYTES = 65_534  # PS3.5 7.1.2: an explicit VR's length has 16 bits
_MOST_ITEMS, _DEEPEST = 64, 4


class NotWritable(Exception):
    """An identifier of the image cannot be written in any document; `detail` names it, without its value."""

    def __init__(self, keyword: str, why: str) -> None:
        super().__init__(keyword)
        self.detail = f"The image's {keyword} cannot be written in a document: {why}. Correct the image."


def take_over(source: Dataset, target: Dataset, keywords: Iterable[str]) -> None:
    """Copy attributes with their values as they are: of identifiers and texts also those that their VR does not admit
    (PS3.5 6.2), too long ones and several parts. Dates and times of the old form become those of today's. Texts come
    decoded, so that the target can write them in its own character set.

    Ages, codes and numbers of another form are left out, and what holds control characters or cannot be read. Raises
    NotWritable where that is an identifier.
    """
    for keyword in keywords:
        try:
            _copy(source, target, keyword)
        except _Unwritable as error:
            if keyword in IDENTIFIERS:
                raise NotWritable(keyword, str(error)) from None
        except Exception:
            # Whatever a damaged element makes pydicom raise.
            if keyword in IDENTIFIERS:
                raise NotWritable(keyword, "it is damaged") from None


class _Unwritable(Exception):
    pass


def _copy(source: Dataset, target: Dataset, keyword: str) -> None:
    element = source.get(Tag(keyword))
    if element is None:
        return
    if element.VR == "SQ":
        target[element.tag] = DataElement(element.tag, "SQ", Sequence(_items(element.value, 1)))
        return
    copied = _copied(element)
    if copied is None:
        raise _Unwritable(f"its VR is {element.VR}")
    form = FORMS.get(element.VR)
    if form is not None and keyword not in IDENTIFIERS and copied.value and not form.fullmatch(_joined(copied.value)):
        raise _Unwritable("it has another form")
    target[element.tag] = copied


def _copied(element: DataElement) -> DataElement | None:
    """An element of a text VR or of numbers, or None."""
    vr, value = element.VR, element.value
    if vr in _TEXT:
        text = _checked(vr, _joined(value))
        return DataElement(element.tag, vr, text, validation_mode=config.IGNORE)
    if isinstance(value, int | float) or (isinstance(value, MultiValue) and vr in ("US", "SS", "UL", "SL", "FL", "FD")):
        return DataElement(element.tag, vr, value, validation_mode=config.IGNORE)
    return None


def _joined(value: Any) -> str:
    """A value as the text that it was, backslashes included: whether they part values is for its readers to say."""
    if isinstance(value, MultiValue | list | tuple):
        return "\\".join("" if one is None else str(one) for one in value)
    return "" if value is None else str(value)


def _checked(vr: str, text: str) -> str:
    text = text.rstrip(" \0")
    allowed = "\t\n\f\r" if vr in _MULTILINE else ""
    if any((ord(letter) < 32 or ord(letter) == 127) and letter not in allowed for letter in text):
        raise _Unwritable("it holds control characters")
    if len(text.encode()) > _MOST_BYTES:
        raise _Unwritable("it is too long")
    if vr == "UI" and not is_valid_uid(text, lenient=True):  # the PACS has the study under this one
        raise _Unwritable("it is no UID")
    if vr == "DA":
        return _OLD_DATE.sub(r"\1\2\3", text) if _OLD_DATE.fullmatch(text) else text
    if vr == "TM" and (old := _OLD_TIME.fullmatch(text)):
        return "".join(part or "" for part in old.groups())
    return text


def _items(items: Any, depth: int) -> list[Dataset]:
    """Items of a sequence without private elements and what cannot be written."""
    copies = []
    for item in list(items)[:_MOST_ITEMS] if depth <= _DEEPEST else []:
        copy = Dataset()
        for element in item:
            if element.tag.is_private or element.keyword == "SpecificCharacterSet":
                continue
            try:
                if element.VR == "SQ":
                    copy[element.tag] = DataElement(element.tag, "SQ", Sequence(_items(element.value, depth + 1)))
                elif (copied := _copied(element)) is not None:
                    copy[element.tag] = copied
            except _Unwritable:
                continue
        copies.append(copy)
    return copies
