"""The reference preprocessing of LLM-CXR: what turns a radiograph of any size into the model's square input."""

from PIL import Image


def fit(image: Image.Image, size: int) -> Image.Image:
    """Resize so that the short side is `size` (Lanczos), then crop the centre square.

    Rounding follows the reference implementation (torchvision): the long side is truncated, the crop's
    offset is rounded half to even. The mode (L or RGB) is kept.
    """
    width, height = image.size
    short = min(width, height)
    if short != size:
        image = image.resize((int(size * width / short), int(size * height / short)), Image.Resampling.LANCZOS)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))
