"""Images through the sandbox beside bare pydicom and Pillow."""

import asyncio
import io
import math
import time

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from app.imaging.sandbox import Sandbox
from app.settings import ImagingSettings
from benchmarks.measure import Ratio, Result, Spread, by_round, in_turn, timed
from benchmarks.suite import Suite

_SIDE = 2000
_SECONDS = 1.0  # that a contender's round takes at least


def _large(transfer_syntax: UID) -> bytes:
    """A smooth 16-bit radiograph of 2000 x 2000 with a little noise, in a transfer syntax."""
    down, across = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    smooth = 30_000 + 20_000 * np.sin(6 * across) * np.cos(4 * down)
    noise = np.random.default_rng(0).normal(0.0, 60.0, smooth.shape)
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "DX", "CHEST", "PA"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.WindowCenter, dataset.WindowWidth = 30_000, 50_000
    dataset.PixelData = (smooth + noise).clip(0, 65535).astype(np.uint16).tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if transfer_syntax != ExplicitVRLittleEndian:
        dataset.compress(transfer_syntax)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _bare(data: bytes, size: int) -> np.ndarray:
    """What a script would do: pydicom's LUTs, eight bits, Pillow's Lanczos."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(np.float64)
    grey = (values - values.min()) * (255.0 / max(float(np.ptp(values)), 1.0))
    return np.asarray(Image.fromarray(grey.astype(np.uint8)).resize((size, size), Image.Resampling.LANCZOS))


async def imaging(suite: Suite) -> Result:
    """Images a second through the sandbox and by bare pydicom and Pillow, one after the other."""
    size = suite.bundle.manifest.image.size
    sandbox = Sandbox(ImagingSettings(), size)
    await sandbox.start()
    syntaxes = {
        "explicit little endian": ExplicitVRLittleEndian,
        "RLE": RLELossless,
        "JPEG-LS": JPEGLSLossless,
        "JPEG 2000": JPEG2000Lossless,
    }
    figures: dict[str, dict[str, float]] = {}
    ratios = []
    try:
        for name, syntax in syntaxes.items():
            data = await asyncio.to_thread(_large, syntax)

            await sandbox.read(data)
            images = math.ceil(_SECONDS / await timed(sandbox.read(data)))

            async def confined(_: int, data: bytes = data, images: int = images) -> float:
                started = time.perf_counter()
                for _ in range(images):
                    await sandbox.read(data)
                return (time.perf_counter() - started) / images

            async def bare(_: int, data: bytes = data, images: int = images) -> float:
                started = time.perf_counter()
                for _ in range(images):
                    await asyncio.to_thread(_bare, data, size)
                return (time.perf_counter() - started) / images

            found = await in_turn({"sandbox": confined, "bare": bare}, suite.rounds + 2)
            figures[name] = {who: round(1.0 / Spread.from_values(values).median, 2) for who, values in found.items()}
            spread = by_round(found["bare"], found["sandbox"])
            ratios.append(Ratio(f"imaging, {name}: sandbox / bare", spread, 0.75, 0.90))
    finally:
        await asyncio.to_thread(sandbox.close)
    note = f"Images a second, one after the other; {_SIDE} x {_SIDE} in 16 bits."
    return Result("imaging", "Images through the sandbox beside bare pydicom and Pillow", figures, tuple(ratios), note)
