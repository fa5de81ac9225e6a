"""How an element's first bytes tell its encoding (PS3.5 7.1), as pydicom takes them."""

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

VRS = frozenset(str(vr).encode() for vr in VR)
# Those whose length has four bytes, behind two that are reserved.
LONG_VRS = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)


def starts_implicit(head: bytes) -> bool:
    """Whether elements that begin with `head` are in implicit VR: no two capitals stand where a VR would.

    A length that looks like two capitals would be that of a value of 16 kB at the least.
    """
    return not (len(head) >= 6 and 0x40 < head[4] < 0x5B and 0x40 < head[5] < 0x5B)


def is_explicit(vr: bytes) -> bool:
    """Whether two bytes are a VR; unknown ones of two capitals count, as they may be younger than the dictionary."""
    return vr in VRS or b"AA" <= vr <= b"ZZ"
