"""Unique identifiers: which are valid, and those of our own."""

import re

from pydicom.uid import UID_dictionary, generate_uid

_VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_LENGTH = 64


def is_valid_uid(value: str) -> bool:
    """Whether a text is a UID (PS3.5 9.1): digits and dots, no leading zeros, at most 64 characters."""
    return len(value) <= _LENGTH and _VALID.fullmatch(value) is not None


def is_storage_class(uid: str) -> bool:
    """Whether a UID is a composite storage SOP class of the standard (PS3.4 B.5), retired ones included."""
    entry = UID_dictionary.get(uid)
    return entry is not None and entry[1] == "SOP Class" and "Storage" in entry[0] and "Commitment" not in entry[0]


def is_transfer_syntax(uid: str) -> bool:
    """Whether a UID is a transfer syntax of the standard (PS3.6 A), retired ones included."""
    entry = UID_dictionary.get(uid)
    return entry is not None and entry[1] == "Transfer Syntax"


def derived_uid(*parts: str) -> str:
    """A UID that the same parts always yield, so that a repeated step repeats the UID."""
    return str(generate_uid(entropy_srcs=["llm-cxr", *parts]))
