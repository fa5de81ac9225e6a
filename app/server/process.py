"""What the process asks of the C library's allocator and of the kernel."""

import ctypes
import os

_M_ARENA_MAX = -8  # glibc, malloc.h
_ARENAS = 2
_PR_SET_DUMPABLE = 4  # linux/prctl.h


def share_arenas() -> bool:
    """Let all threads share two arenas; to be called before there are threads. False where the C library has none.

    glibc gives every thread an arena of its own, which keeps what images freed there: some 100 MB that come and go.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (OSError, AttributeError):
        return False


def write_for_owner_alone() -> None:
    """Let no other user read what this process writes from now on: patients' images and names, keys, sockets."""
    os.umask(0o077)


def forbid_tracing() -> bool:
    """Keep processes of the same user, a decoder among them, from reading or writing this one's memory (prctl(2)).

    False where the kernel does not know it. It also leaves no core dumps.
    """
    try:
        return not ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        return False
