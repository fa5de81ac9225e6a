"""Ports for servers that a benchmark or a test starts."""

import random
import socket

# Below those that the kernel gives to connections: one of these would be taken before its server listens.
_RANGE = range(15_000, 32_000)
_given: set[int] = set()
_random = random.SystemRandom()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now, and that this process was not given before."""
    while True:
        port = _random.choice(_RANGE)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
