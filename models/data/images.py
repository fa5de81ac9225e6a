"""Radiographs preprocessed once into one array, and the same as a pack small enough to carry to another machine."""

import io
import json
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from rich.progress import track
from torch import Tensor

from models.data.dataset import DataError, Record, read_dataset, write_dataset
from models.preprocessing import fit

IMAGES_FILE = "images.npy"
_PACKED_MANIFEST = "manifest.csv"
_QUALITIES = (95, 90, 85, 80, 72, 64, 55)


def _save(images: np.ndarray, file: Path) -> np.ndarray:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npy")
    np.save(partial, images)
    partial.replace(file)
    stored: np.ndarray = np.load(file, mmap_mode="r")
    return stored


class Pictures:
    """Preprocessed radiographs, uint8 (N, side, side), wholly on a GPU where `device` is one, else where they lie."""

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        self._images = images
        self._there = torch.from_numpy(np.array(images)).to(device) if device.type == "cuda" else None

    def take(self, rows: np.ndarray | Sequence[int]) -> Tensor:
        """The images of `rows`: uint8 (len(rows), side, side) on the device."""
        if self._there is not None:
            return self._there[torch.as_tensor(np.asarray(rows), device=self._there.device)]
        return torch.from_numpy(np.stack([self._images[row] for row in rows]))


def preprocess(folder: Path, records: Sequence[Record], size: int, out: Path) -> np.ndarray:
    """Every radiograph as the model sees it: uint8 (N, size, size), grey. Kept in `out` with the list of its files.

    Raises DataError naming the row whose file is not a readable image.
    """
    file, names = out / IMAGES_FILE, out / "images.json"
    listed = [record.image for record in records]
    if file.exists() and names.exists() and json.loads(names.read_text()) == listed:
        stored: np.ndarray = np.load(file, mmap_mode="r")
        if stored.shape == (len(records), size, size):
            return stored
    images = np.empty((len(records), size, size), np.uint8)

    def read(index: int) -> None:
        name = records[index].image
        try:
            with Image.open(folder / name) as image:
                images[index] = np.asarray(fit(image.convert("L"), size))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"row {index + 2}: {name} is not a readable image") from error

    # Pillow decodes and resizes without holding the interpreter.
    with ThreadPoolExecutor() as threads:
        done = threads.map(read, range(len(records)))
        for _ in track(done, description="Preprocessing", total=len(records)):
            pass
    stored = _save(images, file)
    names.write_text(json.dumps(listed))
    return stored


def load_data(path: Path, size: int, out: Path) -> tuple[list[Record], np.ndarray]:
    """Records and preprocessed images of a manifest (`.csv`, `.parquet`) or of a pack (`.tar`)."""
    if path.suffix == ".tar":
        path = unpack(path, out / "pack")
    records = read_dataset(path)
    return records, preprocess(path.parent, records, size, out)


def pack(records: Sequence[Record], images: np.ndarray, file: Path, limit: int) -> int:
    """Write manifest and images as one tar of WebP files, at the best quality that stays under `limit` bytes.

    Returns the quality. Raises DataError where even the lowest is too big.
    """
    step = max(1, len(images) // 100)
    sample = images[::step]
    for quality in _QUALITIES:
        mean = np.mean([len(_webp(image, quality)) + 1024 for image in sample])
        if mean * len(images) * 1.03 < limit:
            break
    else:
        raise DataError(f"{len(images)} images do not fit {limit / 2**20:.0f} MiB; take fewer or smaller ones")
    names = [f"{index:06d}.webp" for index in range(len(images))]
    partial = file.with_name(file.name + ".partial")
    with tarfile.open(partial, "w") as archive:
        table = partial.with_suffix(".csv")
        write_dataset([replace(r, image=name) for r, name in zip(records, names, strict=True)], table)
        archive.add(table, _PACKED_MANIFEST)
        table.unlink()
        for name, image in zip(names, track(images, description="Packing"), strict=True):
            data = _webp(image, quality)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    partial.replace(file)
    return quality


def unpack(file: Path, folder: Path) -> Path:
    """Unpack a pack once; returns its manifest."""
    manifest = folder / _PACKED_MANIFEST
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    return manifest


def _webp(image: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def grid(images: np.ndarray, columns: int) -> Image.Image:
    """A contact sheet: uint8 (N, H, W) laid out row by row, two pixels apart."""
    count, height, width = images.shape
    rows = -(-count // columns)
    sheet = Image.new("L", (columns * (width + 2) - 2, rows * (height + 2) - 2))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet.paste(Image.fromarray(image), (column * (width + 2), row * (height + 2)))
    return sheet
