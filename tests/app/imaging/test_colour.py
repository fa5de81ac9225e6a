"""Colour images: grey by their luma."""

import numpy as np
import pytest

from app.imaging.pixel_module import settle
from app.imaging.pixels import grey_image
from tests.support.radiographs import radiograph


@pytest.mark.parametrize("name", ["YBR_FULL", "YBR_FULL_422"])
def test_native_ybr_is_made_grey_by_its_luma(name: str) -> None:
    # Y 200 with strong chrominance: after one conversion to RGB and BT.601's luma it is 200 again.
    dataset = radiograph(np.zeros((64, 64), np.uint8))
    luma = np.full((64, 64), 180, np.uint8)
    luma[:, 32:] = 80
    blue, red = np.full((64, 64), 140, np.uint8), np.full((64, 64), 110, np.uint8)
    if name == "YBR_FULL":
        dataset.PixelData = np.stack([luma, blue, red], axis=2).tobytes()
    else:
        pairs = np.stack([luma[:, ::2], luma[:, 1::2], blue[:, ::2], red[:, ::2]], axis=2)
        dataset.PixelData = pairs.tobytes()
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, 0, name
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    warnings: list[str] = []
    settle(dataset, warnings)
    grey = grey_image(dataset, warnings, 10**6).astype(int)
    assert np.abs(grey - luma).max() <= 1
