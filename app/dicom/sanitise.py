"""Copies attributes of a received header that a document of our own may carry."""

import datetime
import re
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from app.dicom.uids import is_valid_uid

_LENGTH = {"SH": 16, "LO": 64, "CS": 16}
_CODE = re.compile(r"[A-Z0-9 _]{0,16}")
_AGE = re.compile(r"[0-9]{3}[DWMY]")
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def copy_valid(source: Dataset, target: Dataset, keywords: Iterable[str]) -> None:
    """Copy attributes whose values their VR admits (PS3.5 6.2); the others are left out.

    Texts come decoded, so that the target can write them in its own character set.
    """
    for keyword in keywords:
        try:
            element = source.get(Tag(keyword))
            if element is None or not _is_valid(element.VR, element.value):
                continue
            setattr(target, keyword, str(element.value) if element.VR == "PN" else element.value)
        except Exception:  # noqa: S112 (whatever a damaged element makes pydicom raise, it is not worth copying)
            continue


def _is_valid(vr: str, value: Any) -> bool:
    if value is None or value == "":
        return True
    if vr == "SQ":
        return False  # may hold anything
    text = str(value)
    if any(ord(character) < 32 for character in text):
        return False
    match vr:
        case "UI":
            return is_valid_uid(text)
        case "DA":
            return _is_date(text)
        case "TM":
            return _TIME.fullmatch(text) is not None
        case "AS":
            return _AGE.fullmatch(text) is not None
        case "DS":
            return len(text) <= 16 and _NUMBER.fullmatch(text) is not None
        case "CS":
            return _CODE.fullmatch(text) is not None
        case "PN":
            return all(len(group) <= 64 and group.count("^") <= 4 for group in text.split("=")) and "\\" not in text
        case _:
            return len(text) <= _LENGTH.get(vr, 1_024) and "\\" not in text


def _is_date(text: str) -> bool:
    try:
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return len(text) == 8
