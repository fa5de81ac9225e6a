"""Whether two files hold one instance: by its attributes, and by its pixels once they are decoded.

The files are read by a confined process (`meaning`), and what it found is compared by the service (`likeness`).
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from pydicom.dataset import Dataset

from app.dicom.likeness import Likeness
from app.dicom.meaning import attribute_digests
from app.dicom.values import text_of
from app.errors import CxrError, MalformedInput
from app.imaging import wire
from app.imaging.instance import parse
from app.imaging.whole_frames import whole_frames
from app.settings import ImagingSettings

Facts = wire.MeaningReply
_BLOCK = 8
# Of means of 8 x 8 pixels, in shares of the grey range that the image uses: the greatest and the mean difference that
# compression makes. JPEG of quality 10 quantises such a mean to 1/51 of the range; what was drawn or wiped out is more.
_MOST_DIFFERENCE, _MOST_MEAN_DIFFERENCE = 0.02, 0.005
_FULL = 65_535
# PS3.5 8.2: those that lose, or may: of JPEG 2000 and HTJ2K that may be either, they do where the pixels differ.
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (*range(50, 57), *range(59, 66), 81, 91, 93, 112, 203))


@dataclass(frozen=True)
class Meaning:
    """What an instance means. `facts.pixels` is the digest of its decoded frames, None where they cannot be decoded,
    and `facts.encoded` that of its pixel data as it is; `means` are those of all fields of 8 x 8 pixels, 0 to 65,535
    over the range of the stored bits, None where they are too many.
    """

    facts: Facts
    means: np.ndarray | None = None


def meaning(data: bytes, limits: ImagingSettings) -> tuple[Facts, bytes]:
    """What an instance means, and its means as bytes. Raises MalformedInput, TooLarge, MemoryError."""
    try:
        dataset = parse(data, limits)
        digests = attribute_digests(dataset, little=dataset.original_encoding[1] is not False)
        encoded = hashlib.sha256(_encoded(dataset)).hexdigest()
        lossy = str(dataset.file_meta.get("TransferSyntaxUID")) in _LOSSY
        lossy = lossy or text_of(dataset, "LossyImageCompression") == "01"
        pixels, means = _pixels(dataset)
        return Facts(**asdict(digests), pixels=pixels, encoded=encoded, lossy=lossy), means
    except (CxrError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image") from error


def meaning_of(facts: Facts, means: bytes) -> Meaning:
    """What a process has found."""
    return Meaning(facts, np.frombuffer(means, "<u2") if means else None)


def _encoded(dataset: Dataset) -> bytes:
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            value = dataset[keyword].value
            return value if isinstance(value, bytes) else b""
    return b""


def _pixels(dataset: Dataset) -> tuple[str | None, bytes]:
    """Digest of the decoded frames, each with its shape, and their means."""
    digest, room = hashlib.sha256(), wire.MOST_BYTES // 2
    means: list[bytes] = []
    try:
        for frame, bits in whole_frames(dataset):
            kind = "f8" if frame.dtype.kind == "f" else "i8" if frame.dtype.itemsize > 4 else "i4"
            plain = np.ascontiguousarray(frame, f"<{kind}")
            digest.update(f"{plain.shape}{kind}".encode())
            digest.update(plain.tobytes())
            room -= math.ceil(frame.shape[0] / _BLOCK) * math.ceil(frame.shape[1] / _BLOCK) * 2 * frame[0, 0].size
            if room > 0 and kind != "f8":
                means += _means(plain, bits, signed=frame.dtype.kind == "i")
    except MemoryError:
        raise
    except Exception:  # no decoder, or damaged: pydicom raises many kinds
        return None, b""
    return digest.hexdigest(), b"".join(means) if room > 0 else b""


def _means(frame: np.ndarray, bits: int, *, signed: bool) -> Iterator[bytes]:
    """Means of the fields of a frame, row by row, for each sample."""
    low = -(1 << (bits - 1)) if signed else 0
    rows, columns = (np.arange(0, size, _BLOCK) for size in frame.shape[:2])
    counts = [np.diff([*starts, size]) for starts, size in zip((rows, columns), frame.shape[:2], strict=True)]
    for sample in np.moveaxis(np.atleast_3d(frame), 2, 0):
        sums = np.add.reduceat(np.add.reduceat(sample.astype(np.float64), rows, axis=0), columns, axis=1)
        shares = (sums / np.outer(*counts) - low) / ((1 << bits) - 1)
        yield np.clip(np.rint(shares * _FULL), 0, _FULL).astype("<u2").tobytes()


def likeness(new: Meaning | None, held: Meaning | None, *, put_right: bool = False) -> Likeness:
    """How a new file's instance is like that of the held one; None is one that cannot be read. `put_right` tells that
    the character set of the held one was put right here: then what was sent tells, not what it says of itself.
    """
    if new is None or (new.facts.pixels is None and held is not None and held.facts.pixels is not None):
        return Likeness.UNREADABLE
    if held is None:
        return Likeness.CHANGED
    one, other = new.facts, held.facts
    decoded = None not in (one.pixels, other.pixels)
    same_pixels = one.pixels == other.pixels if decoded else one.encoded == other.encoded
    same_sent = one.sent == other.sent and (put_right or one.character_set == other.character_set)
    if same_pixels and (one.attributes == other.attributes or same_sent):
        return Likeness.SAME
    if not (one.lossy or other.lossy):
        return Likeness.CHANGED
    if one.lasting != other.lasting and one.rescaled != other.rescaled:
        return Likeness.CHANGED
    if same_pixels or _are_close(new.means, held.means, scaled=one.lasting != other.lasting):
        return Likeness.LOSSY
    return Likeness.DOUBTFUL if one.lossy and not other.lossy else Likeness.CHANGED


def is_copy_of(new: Meaning | None, state: Meaning) -> bool:
    """Whether a new file's instance is an older state that is known by its digests alone, or a lossy copy of it."""
    if new is None:
        return False
    one, other = new.facts, state.facts
    lossy = one.lossy and (one.lasting == other.lasting or one.rescaled == other.rescaled)
    return lossy or likeness(new, state) is Likeness.SAME


def _are_close(one: np.ndarray | None, other: np.ndarray | None, *, scaled: bool) -> bool:
    """Whether means are those of a copy; of pixels that have other bits, or another window, on whatever scale."""
    if one is None or other is None or len(one) != len(other):
        return False
    found = one.astype(np.float64)
    if scaled:
        slope, intercept = np.polyfit(found, other, 1) if np.ptp(found) else (0.0, 0.0)
        if slope <= 0.0:
            return False
        found = slope * found + intercept
    differences = np.abs(found - other)
    used = max(float(np.ptp(other)), _FULL / 256)
    return bool(differences.max() <= _MOST_DIFFERENCE * used and differences.mean() <= _MOST_MEAN_DIFFERENCE * used)
