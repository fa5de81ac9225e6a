"""Radiographs and slices of volumes: rays through a CT from the front or the side, and cuts through a CT or an MR."""

import gzip
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from models.data.dataset import DataError

_HEADER = 352
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
# Attenuation of water in cm^-1 at the energies of chest radiographs.
_WATER = 0.2
_MOST = 192


def read_nifti(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """A NIfTI-1 volume: float32 (X, Y, Z), axes turned to right, front, up; sizes of its voxels in mm (3,).

    Raises DataError for another format. Rotations within the volume are ignored.
    """
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    order = "<" if data[:4] == (348).to_bytes(4, "little") else ">"
    if len(data) < _HEADER or data[344:347] not in (b"n+1", b"ni1"):
        raise DataError(f"{file.name} is no NIfTI-1 volume")
    shape = np.frombuffer(data, f"{order}i2", 3, 42)
    kind = int(np.frombuffer(data, f"{order}i2", 1, 70)[0])
    if kind not in _TYPES:
        raise DataError(f"{file.name}: voxels of kind {kind} are not read")
    sizes = np.abs(np.frombuffer(data, f"{order}f4", 3, 80)).astype(np.float64)
    offset, slope, add = np.frombuffer(data, f"{order}f4", 3, 108)
    values = np.frombuffer(data, f"{order}{_TYPES[kind]}", int(np.prod(shape)), int(offset))
    volume = values.reshape(shape[::-1]).transpose(2, 1, 0).astype(np.float32)
    if slope not in (0.0, 1.0) or add:
        volume = volume * (slope or 1.0) + add
    matrix = np.frombuffer(data, f"{order}f4", 12, 280).reshape(3, 4)
    for axis in range(3):
        if matrix[axis, axis] < 0:
            volume = np.flip(volume, axis)
    return np.ascontiguousarray(volume), sizes


def attenuation(volume: np.ndarray, sizes: np.ndarray) -> torch.Tensor:
    """A CT in Hounsfield units as attenuation in cm^-1, voxels made cubic: (1, 1, Z, Y, X), the longest side 192."""
    linear = torch.from_numpy(np.clip(1 + volume / 1000, 0, 3).transpose(2, 1, 0)) * _WATER
    lengths = sizes[::-1] * linear.shape
    shape = np.maximum(1, np.round(lengths / lengths.max() * _MOST)).astype(int).tolist()
    return F.interpolate(linear[None, None].float(), size=shape, mode="area")


def projected(linear: torch.Tensor, degrees: float, millimetres: float, rng: np.random.Generator) -> np.ndarray:
    """A film of parallel rays, turned by `degrees` from the front around the body's axis: uint8 (Z, X), head up.

    `millimetres` is the side of a voxel.
    """
    angle = np.deg2rad(degrees)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    _, _, high, deep, wide = linear.shape
    half = max(deep, wide)
    turn = torch.tensor([[cos, -sin, 0.0, 0.0], [sin, cos, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])[None]
    # Places are shares of each side, which differ.
    scale = torch.tensor([half / wide, half / deep, 1.0])
    turn = turn * scale[:, None]
    grid = F.affine_grid(turn, [1, 1, high, half, half], align_corners=False)
    turned = F.grid_sample(linear, grid, align_corners=False)[0, 0]
    path = turned.sum(1).numpy() * millimetres / 10
    lit = 1 - np.exp(-path * rng.uniform(0.25, 0.6))
    low, high_ = np.percentile(lit, (2, 99.5))
    lit = np.clip((lit - low) / (high_ - low + 1e-6), 0, 1) ** rng.uniform(0.7, 2.0)
    # Patients face the viewer: their right is on the left, and z points up.
    return np.asarray((lit[::-1, ::-1] * 255).astype(np.uint8))


def slices(volume: np.ndarray, low: float, high: float, count: int) -> list[np.ndarray]:
    """`count` cuts across each axis, uint8, from grey value `low` to `high`."""
    found = []
    for axis in range(3):
        for place in np.linspace(0.2, 0.8, count):
            cut = np.take(volume, int(place * volume.shape[axis]), axis)
            found.append(np.asarray((np.clip((cut - low) / (high - low), 0, 1) * 255).astype(np.uint8)[:, ::-1].T))
    return found
