"""Lookup tables of an image: Modality, VOI and Presentation LUT (PS3.3 C.11.1, C.11.2, C.11.6).

Tables are often shorter or narrower than their descriptor says. One that lacks entries which the image needs is
refused: any other value in their place would make another picture.
"""

import numpy as np
from pydicom.dataset import Dataset

from app.dicom.values import items_of, text_of
from app.errors import UnusableImage

_DEPTHS = range(1, 17)


def unreadable(detail: str) -> UnusableImage:
    """The refusal of pixels that cannot be shown as their file says."""
    return UnusableImage(detail, code="unreadable_pixels")


class Lut:
    """A table of up to 65,536 entries from the first of a sequence's items; `stated` is how many it says to have.

    Raises UnusableImage.
    """

    def __init__(self, dataset: Dataset, keyword: str) -> None:
        self._name = f"{keyword.removesuffix('Sequence').removesuffix('LUT')} LUT"
        try:
            item = items_of(dataset, keyword)[0]
            count, first, self.depth = (int(value) for value in item.LUTDescriptor)
            data = item["LUTData"].value
            entries = _entries(data, (count & 0xFFFF) or 65_536, self.depth, _is_little(dataset))
        except Exception as error:  # pydicom raises many kinds on damaged values
            raise unreadable(f"The {self._name} is damaged or incomplete.") from error
        if self.depth not in _DEPTHS or not len(entries):
            raise unreadable(f"The {self._name} is damaged or incomplete.")
        # The descriptor's second value is signed where the pixels are, and US in files that say it wrong.
        signed = text_of(dataset, "PixelRepresentation") == "1" or _is_negative(dataset)
        self._first = first - 65_536 if signed and first > 32_767 else first
        self.stated, self.entries = (count & 0xFFFF) or 65_536, entries
        if int(entries.max()) >= 1 << self.depth:
            raise unreadable(f"The {self._name} has entries of more bits than it says.")

    def __call__(self, values: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """The entries of `values`, the first and the last one for those outside. Raises UnusableImage where `needed`
        values have entries that are missing.
        """
        index = np.clip(np.rint(needed).astype(np.int64) - self._first, 0, self.stated - 1)
        if index.size and int(index.max()) >= len(self.entries):
            raise unreadable(f"The {self._name} lacks entries for some of the pixels.")
        return self.entries[np.clip(np.rint(values).astype(np.int64) - self._first, 0, len(self.entries) - 1)]

    @property
    def narrow(self) -> bool:
        """Whether the greatest entry needs fewer bits than the descriptor says, as of some CR devices."""
        return int(self.entries.max()).bit_length() < self.depth

    @property
    def warnings(self) -> list[str]:
        """What was assumed of the table."""
        return (
            [f"The {self._name} has fewer bits than it says; its entries fill the grey range."] if self.narrow else []
        )

    def share(self, values: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """The entries as share of the output range, which is the entries' own where they are narrow."""
        top = max(int(self.entries.max()), 1) if self.narrow else (1 << self.depth) - 1
        return self(values, needed).astype(np.float32) / float(top)


def _is_little(dataset: Dataset) -> bool:
    try:
        return bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)
    except Exception:  # none is stated, or none that is known
        return True


def _is_negative(dataset: Dataset) -> bool:
    try:
        return float(text_of(dataset, "RescaleIntercept") or 0.0) < 0.0
    except ValueError:
        return False


def _entries(data: object, count: int, depth: int, little: bool) -> np.ndarray:
    """The entries, at most `count`. Those of 8 bits come packed, or one in each word (PS3.3 C.11.1.1.1)."""
    if not isinstance(data, bytes):
        values = [data] if isinstance(data, int) else list(data)  # type: ignore[call-overload]
        words = np.array(values, np.int64) & 0xFFFF
        data = words.astype("<u2" if little else ">u2").tobytes()
    if depth <= 8 and len(data) < 2 * count:
        packed = np.frombuffer(data, np.uint8)
        if not little and len(packed) % 2 == 0:
            packed = packed.reshape(-1, 2)[:, ::-1].reshape(-1)
        # Words of a table that ends early are not packed bytes: every second one would be 0.
        if packed[1::2].any():
            return packed[:count].astype(np.int32)
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2")[:count].astype(np.int32)


def lacks_table(dataset: Dataset, keyword: str) -> bool:
    """Whether the sequence has an item, but neither a descriptor nor entries in it."""
    items = items_of(dataset, keyword)
    return bool(items) and not items[0].get("LUTDescriptor") and not items[0].get("LUTData")


def modality_values(dataset: Dataset, values: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """Stored values after the Modality LUT or rescale (PS3.3 C.11.1). Raises UnusableImage.

    A slope or intercept that is empty is 1 or 0, and a LUT of which nothing is there is none.
    """
    if items_of(dataset, "ModalityLUTSequence") and not lacks_table(dataset, "ModalityLUTSequence"):
        return Lut(dataset, "ModalityLUTSequence")(values, needed)
    slope, intercept = _number(dataset, "RescaleSlope", 1.0), _number(dataset, "RescaleIntercept", 0.0)
    if slope == 0.0:
        raise unreadable("The RescaleSlope is 0; every pixel would have the same value.")
    if (slope, intercept) == (1.0, 0.0):
        return values
    return values.astype(np.float64) * slope + intercept


def _number(dataset: Dataset, keyword: str, default: float) -> float:
    text = text_of(dataset, keyword)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise unreadable(f"The {keyword} is no number.")
    return value
