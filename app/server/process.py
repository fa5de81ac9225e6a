"""What the process asks of the C library's allocator."""

import ctypes

_M_ARENA_MAX = -8  # glibc, malloc.h
_ARENAS = 2


def share_arenas() -> bool:
    """Let all threads share two arenas; to be called before there are threads. False where the C library has none.

    glibc gives every thread an arena of its own, which keeps what images freed there: some 100 MB that come and go.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (OSError, AttributeError):
        return False
