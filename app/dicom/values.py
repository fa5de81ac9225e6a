"""Values of a data set that may be damaged: read without ever raising, within limits."""

from collections.abc import Iterable
from itertools import islice

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_MOST_VALUES, _MOST_ITEMS, _LONGEST = 16, 16, 256


def text_of(dataset: Dataset, keyword: str) -> str | None:
    """A value as text, None where absent, empty or unreadable; the first of several."""
    try:
        value = dataset.get(keyword)
        if value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        text = "" if value is None else str(value).strip()
    except Exception:  # a value that its VR cannot hold: pydicom raises many kinds
        return None
    return text or None


def texts_of(dataset: Dataset, keyword: str) -> list[str]:
    """The first 16 values, cut to 256 characters; empty ones keep their place. None where they cannot be read."""
    try:
        value = dataset.get(keyword)
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        found = ["" if one is None else str(one)[:_LONGEST].strip() for one in values[:_MOST_VALUES]]
    except Exception:  # as above
        return []
    return found if any(found) else []


def prose_of(dataset: Dataset, keyword: str) -> str:
    """All values as one text, cut to 256 characters: a backslash in a description is no border. Empty if unreadable."""
    return " ".join(texts_of(dataset, keyword))[:_LONGEST]


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The first 16 items of a sequence, none where it is no sequence or cannot be read."""
    try:
        value = dataset.get(keyword)
        items: Iterable[object] = value if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else []
        return [item for item in islice(items, _MOST_ITEMS) if isinstance(item, Dataset)]
    except Exception:  # as above
        return []


def number_of(dataset: Dataset, keyword: str) -> int:
    """A value as a whole number, 0 where absent or unreadable."""
    try:
        return int(float(text_of(dataset, keyword) or 0))
    except (ValueError, OverflowError):
        return 0
