"""Random numbers that need not be secret: ids that tell requests apart, and seeds, which answers name anyway.

They come from generators that the system has seeded once: it takes tens of microseconds for each number that it is
asked for on a virtual machine, several times a request.
"""

import random

_ids, _seeds = random.Random(), random.Random()


def new_id() -> str:
    """128 random bits as 32 hexadecimal digits."""
    return f"{_ids.getrandbits(128):032x}"


def new_seed() -> int:
    """A seed of a generation, 31 bits: what any sampler takes."""
    return _seeds.getrandbits(31)
