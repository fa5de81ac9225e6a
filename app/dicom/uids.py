"""Unique identifiers: which are valid, and those of our own."""

import re

from pydicom.uid import UID_dictionary, generate_uid

_VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_LENIENT = re.compile(r"[0-9]+(\.[0-9]+)*")
_LENGTH = 64
# Label Map and Height Map Segmentation, Waveform and Waveform Acquisition Presentation State: storage SOP classes that
# pydicom's dictionary lacks.
_YOUNGER = (
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.66.8",
    "1.2.840.10008.5.1.4.1.1.9.100.1",
    "1.2.840.10008.5.1.4.1.1.9.100.2",
)


def is_valid_uid(value: str, lenient: bool = False) -> bool:
    """Whether a text is a UID (PS3.5 9.1): digits and dots, no leading zeros, at most 64 characters.

    `lenient` takes components with leading zeros as well, which some devices write. Such a UID is another than the one
    without them: UIDs are compared as texts.
    """
    return len(value) <= _LENGTH and (_LENIENT if lenient else _VALID).fullmatch(value) is not None


def storage_classes() -> list[str]:
    """The composite storage SOP classes of the standard (PS3.4 B.5), retired ones included."""
    return [*filter(is_storage_class, UID_dictionary), *_YOUNGER]


def is_storage_class(uid: str) -> bool:
    """Whether a UID is a composite storage SOP class of the standard (PS3.4 B.5), retired ones included."""
    entry = UID_dictionary.get(uid)
    if entry is None:
        return uid in _YOUNGER
    return entry[1] == "SOP Class" and "Storage" in entry[0] and "Commitment" not in entry[0]


def is_image_class(uid: str) -> bool:
    """Whether a storage SOP class is of images; video is none, as it cannot be sent uncompressed."""
    name = UID_dictionary[uid][0] if uid in UID_dictionary else ""
    return "Image Storage" in name and not name.startswith("Video")


def has_pixels(uid: str) -> bool:
    """Whether all instances of a storage SOP class have pixel data; RT doses may have none."""
    name = UID_dictionary[uid][0] if uid in UID_dictionary else ""
    return "Image Storage" in name or name in ("Segmentation Storage", "Parametric Map Storage")


def is_transfer_syntax(uid: str) -> bool:
    """Whether a UID is a transfer syntax of the standard (PS3.6 A), retired ones included."""
    entry = UID_dictionary.get(uid)
    return entry is not None and entry[1] == "Transfer Syntax"


def derived_uid(*parts: str) -> str:
    """A UID that the same parts always yield, so that a repeated step repeats the UID."""
    return str(generate_uid(entropy_srcs=["llm-cxr", *parts]))
