"""What may be the next element of a data set, and what is rubbish behind its last one (PS3.5 7.1, 7.8)."""

from struct import pack

from pydicom.datadict import DicomDictionary

from app.dicom.encoding import VRS

# Elements of lower groups are no part of a data set (PS3.5 7.1).
BEFORE_ALL = 0x0007FFFF
_KNOWN = frozenset(DicomDictionary)
_GROUPS = frozenset(tag >> 16 for tag in _KNOWN)
# Curves and overlays, whose groups repeat (PS3.5 7.6).
_REPEATING = (0x5000, 0x6000)
_DELIMITERS = 0xFFFE
_FILLERS = b"\0\xff \r\n\x1a"


def may_follow(tag: int, vr: bytes, last: int, *, implicit: bool) -> bool:
    """Whether an element may stand behind that of tag `last`: elements ascend. In explicit VR the VR tells an element
    from rubbish, in implicit VR the dictionary does.
    """
    return tag > last and (_is_tag(tag) if implicit else vr in VRS)


def _is_tag(tag: int) -> bool:
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2:
        return group != 0xFFFF and (element == 0 or 0x10 <= element <= 0xFF or element >= 0x1000)
    return tag in _KNOWN or (group & 0xFF00) in _REPEATING or (element == 0 and group in _GROUPS)


def is_filler(rest: bytes) -> bool:
    """Whether bytes behind a data set without pixel data are what writers leave there, and not a damaged element with
    others behind it: blanks, one byte over and over, or another file.
    """
    return len(set(rest)) <= 1 or not rest.strip(_FILLERS) or rest[128:132] == b"DICM"


def may_begin(head: bytes, last: int, *, implicit: bool, little: bool) -> bool:
    """Whether bytes, up to eight where there are so many, may be the beginning of an element behind that of tag `last`.

    A delimiter of a sequence may: elements stand behind it that nobody has looked at.
    """
    if len(head) < 4:
        return bool(head.strip(_FILLERS)) or (len(set(head)) > 1 and _begins_known(head, last, little))
    order = "little" if little else "big"
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)  # type: ignore[arg-type]
    if tag >> 16 == _DELIMITERS:
        return True
    return may_follow(tag, head[4:6], last, implicit=implicit or len(head) < 6)


def _begins_known(head: bytes, last: int, little: bool) -> bool:
    form = "<HH" if little else ">HH"
    return any(tag > last and pack(form, tag >> 16, tag & 0xFFFF).startswith(head) for tag in _KNOWN)
