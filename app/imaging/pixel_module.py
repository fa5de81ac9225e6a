"""The Image Pixel Module (PS3.3 C.7.6.3) brought to what decoders take, or refused with the attribute that is wrong."""

from typing import NoReturn

from pydicom.dataset import Dataset
from pydicom.uid import UID

from app.dicom.values import number_of, text_of
from app.imaging.luts import unreadable

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_IN_CODESTREAMS = ("YBR_RCT", "YBR_ICT")
_NOT_READ = ("HSV", "ARGB", "CMYK", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
# As the standard spells them, by their letters and digits.
_SPELLING = {name.replace("_", "").replace(" ", ""): name for name in _GREY + _COLOUR + _NOT_READ}
_ALLOCATED = (8, 16, 32, 64)
_NUMBERS = {
    "SamplesPerPixel": "US", "PlanarConfiguration": "US", "Rows": "US", "Columns": "US", "NumberOfFrames": "IS",
    "BitsAllocated": "US", "BitsStored": "US", "HighBit": "US", "PixelRepresentation": "US",
}  # fmt: skip

_ASSUMED_GREY = "The PhotometricInterpretation is missing; it was taken to be MONOCHROME2."
_GREY_AFTER_ALL = "The PhotometricInterpretation says colour, but pixels have one sample; it was taken as MONOCHROME2."
_ASSUMED_BITS = "BitsStored is missing or 0; it was taken to be {}."
_ASSUMED_HIGH = "HighBit contradicts BitsStored; the lowest {} bits of the pixels were read."
_ASSUMED_UNSIGNED = "The PixelRepresentation is missing or unknown; the pixels were taken to be unsigned."


def settle(dataset: Dataset, warnings: list[str]) -> None:
    """Give the attributes their VR and what is missing its sensible value; appends to `warnings`.

    Raises UnusableImage.
    """
    for keyword, vr in _NUMBERS.items():
        if keyword in dataset:
            _settle_number(dataset, keyword, vr)
    _settle_colour(dataset, warnings)
    if "PixelData" in dataset:
        _settle_bits(dataset, warnings)


def _settle_number(dataset: Dataset, keyword: str, vr: str) -> None:
    """A number in another VR is that number; what is no number counts as absent."""
    try:
        number = int(float(text_of(dataset, keyword) or ""))
    except (ValueError, OverflowError):
        del dataset[keyword]
        return
    if str(dataset[keyword].VR) != vr:
        del dataset[keyword]
        dataset.add_new(keyword, vr, number)


def _settle_colour(dataset: Dataset, warnings: list[str]) -> None:
    stated = (text_of(dataset, "PhotometricInterpretation") or "").upper().strip("\0 ")
    name = _SPELLING.get("".join(stated.replace("_", " ").split()), "")
    samples = number_of(dataset, "SamplesPerPixel") or (3 if name in _COLOUR else 1)
    if samples not in (1, 3):
        raise unreadable(f"The image has {samples} samples a pixel; images of 1 and 3 are read.")
    if not stated:
        # White and black would be a guess for grey as well, but nearly all say MONOCHROME2; colours may be RGB or YBR.
        if samples == 3:
            raise unreadable("The PhotometricInterpretation is missing; nothing says what the three samples are.")
        warnings.append(_ASSUMED_GREY)
        name = "MONOCHROME2"
    elif not name:
        raise unreadable("The PhotometricInterpretation is none that the standard knows.")
    elif name in _NOT_READ or (name in _IN_CODESTREAMS and not _is_compressed(dataset)):
        raise unreadable(f"The PhotometricInterpretation is {name}, which is not read.")
    elif samples == 1 and name in _COLOUR:
        warnings.append(_GREY_AFTER_ALL)
        name = "MONOCHROME2"
    elif samples == 3 and name in _GREY:
        raise unreadable(f"The PhotometricInterpretation is {name}, but SamplesPerPixel is 3.")
    _put(dataset, "PhotometricInterpretation", "CS", name)
    _put(dataset, "SamplesPerPixel", "US", samples)


def _settle_bits(dataset: Dataset, warnings: list[str]) -> None:
    allocated, stored = number_of(dataset, "BitsAllocated"), number_of(dataset, "BitsStored")
    high = number_of(dataset, "HighBit") if "HighBit" in dataset else None
    if allocated not in _ALLOCATED:
        _refuse_container(allocated)
    if stored == 0:
        stored = high + 1 if high is not None and 0 < high < allocated else allocated
        warnings.append(_ASSUMED_BITS.format(stored))
    if not 0 < stored <= allocated:
        raise unreadable(f"BitsStored is {stored}, but BitsAllocated {allocated}.")
    if high is None:
        high = stored - 1
    elif not stored - 1 <= high < allocated:
        warnings.append(_ASSUMED_HIGH.format(stored))
        high = stored - 1
    sign = number_of(dataset, "PixelRepresentation")
    if "PixelRepresentation" not in dataset or sign not in (0, 1):
        # DX images have no other (PS3.3 C.8.11.3), and CR images seldom.
        warnings.append(_ASSUMED_UNSIGNED)
        sign = 0
    for keyword, value in (("BitsStored", stored), ("HighBit", high), ("PixelRepresentation", sign)):
        _put(dataset, keyword, "US", value)


def _refuse_container(allocated: int) -> NoReturn:
    if allocated == 0:
        raise unreadable("BitsAllocated is missing.")
    if allocated == 1:
        raise unreadable("The pixels have one bit; a radiograph has shades of grey.")
    raise unreadable(f"BitsAllocated is {allocated}; pixels of 8, 16, 32 and 64 bits are read.")


def _put(dataset: Dataset, keyword: str, vr: str, value: str | int) -> None:
    if keyword not in dataset or dataset[keyword].value != value:
        dataset.add_new(keyword, vr, value)


def _is_compressed(dataset: Dataset) -> bool:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    return syntax.is_transfer_syntax and syntax.is_compressed
