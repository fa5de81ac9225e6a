"""Open files and connections: as many as the kernel lets the process have, and a word before there are none left."""

import asyncio
import math
import os
import resource
import time

import structlog

log = structlog.get_logger(__name__)

# Some 64 requests, 100 associations, pools and models take a few hundred; the rest is connections.
_WANTED = 65_536
_FEW = 0.1
_LOOK_SECONDS = 2.0
_SAY_SECONDS = 60.0


def raise_limit() -> int:
    """Raise the soft limit (1,024 with systemd and many shells) towards the hard one; returns what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def free_share() -> float:
    """The share of the descriptors that is not in use."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 1.0
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0.0  # looking takes a descriptor, too
    return max(0.0, 1.0 - used / limit)


async def watch() -> None:
    """Say when few are left: the kernel's refusals of new connections reach no log."""
    said = -math.inf
    while True:
        share = free_share()
        if share < _FEW and time.monotonic() - said > _SAY_SECONDS:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            log.error("descriptors run out: new connections will be refused", limit=limit, free=round(share * limit))
            said = time.monotonic()
        await asyncio.sleep(_LOOK_SECONDS)
