"""How an instance that arrives is like the one that is held under its UID."""

from enum import Enum


class Likeness(Enum):
    """SAME: the instance that is held, however it is encoded. LOSSY: a copy of it whose pixels a lossy compression has
    changed, no more than such ones do. EARLIER: a state of it that was replaced since. CHANGED: another state of it.
    DOUBTFUL: a lossy image that differs more from what is held, which is not lossy. UNREADABLE: nobody can tell, as
    what has arrived cannot be read where what is held can.
    """

    SAME = "same"
    LOSSY = "lossy"
    EARLIER = "earlier"
    CHANGED = "changed"
    DOUBTFUL = "doubtful"
    UNREADABLE = "unreadable"
