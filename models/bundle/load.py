"""A bundle from disk: every checksum verified and the parts compared before anything in it is used."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from models.bundle.contents import check_copies, check_llm, check_screen, check_vqgan, check_weights, files_of
from models.bundle.manifest import (
    COPIES_FOLDER,
    LLM_FOLDER,
    MANIFEST_FILE,
    SCREEN_FOLDER,
    VQGAN_FOLDER,
    BundleError,
    FileEntry,
    Manifest,
    read_manifest,
    weights_digest,
)
from models.copies.config import CopiesConfig
from models.copies.index import CONFIG_FILE, INDEX_FILE, CopiesError, CopyIndex
from models.findings.calibration import FINDINGS_FILE, FindingsCalibration
from models.findings.yes_no import YesNo
from models.prompts import Prompts
from models.screen.calibration import CALIBRATION_FILE, Calibration
from models.screen.config import ScreenConfig
from models.vocabulary import Vocabulary, VocabularyError
from models.vqgan.config import VQGANConfig

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its manifest, where it lies, and the vocabulary and prompts it defines.

    `sha256` is that of the manifest, and so of everything in the bundle; `created` is in seconds since 1970.
    """

    path: Path
    manifest: Manifest
    vocabulary: Vocabulary
    prompts: Prompts
    sha256: str
    created: int = 0

    @property
    def llm(self) -> Path:
        """Folder of the language model."""
        return self.path / LLM_FOLDER

    @property
    def vqgan(self) -> Path:
        """Folder of the image tokenizer."""
        return self.path / VQGAN_FOLDER

    @property
    def screen(self) -> Path | None:
        """Folder of the screen, None for a bundle without one."""
        folder = self.path / SCREEN_FOLDER
        return folder if f"{SCREEN_FOLDER}/config.json" in self.manifest.files else None

    @cached_property
    def calibration(self) -> Calibration | None:
        """How films look to its own models, None for a bundle without it. Raises BundleError."""
        if CALIBRATION_FILE not in self.manifest.files:
            return None
        try:
            found = Calibration.model_validate_json((self.path / CALIBRATION_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise BundleError(f"{CALIBRATION_FILE} is not what `cxr calibrate` writes") from error
        if found.weights_sha256 != weights_digest(self.manifest):
            raise BundleError(f"{CALIBRATION_FILE} is of other weights than the bundle's; run `cxr calibrate` again")
        return found

    @cached_property
    def findings_calibration(self) -> FindingsCalibration | None:
        """What calibrates its findings, None for a bundle without it. Raises BundleError."""
        if FINDINGS_FILE not in self.manifest.files:
            return None
        try:
            found = FindingsCalibration.model_validate_json((self.path / FINDINGS_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise BundleError(f"{FINDINGS_FILE} is not what `cxr calibrate` writes") from error
        try:
            found.check(self.manifest.findings, weights_digest(self.manifest))
        except ValueError as error:
            raise BundleError(f"{FINDINGS_FILE} {error}; run `cxr calibrate` again") from error
        return found

    @cached_property
    def copies(self) -> CopyIndex | None:
        """The index of its training films, None for a bundle without one. Raises BundleError."""
        if f"{COPIES_FOLDER}/{CONFIG_FILE}" not in self.manifest.files:
            return None
        try:
            return CopyIndex.load(self.path / COPIES_FOLDER)
        except (OSError, CopiesError, ValidationError) as error:
            raise BundleError(f"{COPIES_FOLDER}/ is not what `cxr copies` writes: {error}") from error

    @property
    def image_tokens(self) -> int:
        """Tokens of one image."""
        rows, columns = self.manifest.image.grid
        return rows * columns


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, read in chunks; `progress` receives the bytes of each."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return digest.hexdigest()


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Manifest entries of everything in a bundle's folders, and of its other files, sorted.

    Raises BundleError where the folder holds what a bundle may not hold.
    """
    return {
        name: FileEntry(sha256=sha256_of(folder / name), bytes=(folder / name).stat().st_size)
        for name in files_of(folder)
    }


def load(path: Path, progress: Callable[[int], None] | None = None) -> Bundle:
    """Verify every checksum, cross-check the parts, and return the bundle. Raises BundleError."""
    manifest = read_manifest(path)
    _check_files(path, manifest, progress)
    vqgan = _vqgan_config(path)
    _check_parts(path, manifest, vqgan)
    spec = manifest.vocabulary
    if f"{LLM_FOLDER}/tokenizer.json" not in manifest.files:
        raise BundleError(f"{LLM_FOLDER}/tokenizer.json is missing")
    try:
        vocabulary = Vocabulary.load(
            path / LLM_FOLDER / "tokenizer.json", spec.text_size, spec.image_offset, spec.codebook_size
        )
    except VocabularyError as error:
        raise BundleError(f"tokenizer: {error}") from error
    prompts = Prompts(vocabulary)
    for finding in manifest.findings:
        try:
            YesNo.from_answers(prompts, finding.yes, finding.no)
        except ValueError as error:
            raise BundleError(f"findings: {finding.name}: {error} to the tokenizer") from error
    file = path / MANIFEST_FILE
    created = int(file.stat().st_mtime)
    return Bundle(path, manifest, vocabulary, prompts, sha256_of(file), created)


def _check_files(path: Path, manifest: Manifest, progress: Callable[[int], None] | None) -> None:
    on_disk = files_of(path)
    for name in on_disk:
        if name not in manifest.files:
            raise BundleError(f"{name}: the manifest does not list this file")
    for name, entry in manifest.files.items():
        if name not in on_disk:
            raise BundleError(f"{name}: listed in the manifest, but missing")
        size = (path / name).stat().st_size
        if size != entry.bytes:
            raise BundleError(f"{name}: {size} bytes, the manifest says {entry.bytes}")
        if sha256_of(path / name, progress) != entry.sha256:
            raise BundleError(f"{name}: its SHA-256 differs from the manifest's")


def _vqgan_config(path: Path) -> VQGANConfig:
    try:
        return VQGANConfig.model_validate_json((path / VQGAN_FOLDER / "config.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(f"{VQGAN_FOLDER}/config.json is missing or not a VQ-GAN configuration") from error


def _check_screen(path: Path, manifest: Manifest) -> None:
    names = {name for name in manifest.files if name.startswith(f"{SCREEN_FOLDER}/")}
    if not names:
        return
    for name in ("config.json", "model.safetensors"):
        if f"{SCREEN_FOLDER}/{name}" not in names:
            raise BundleError(f"{SCREEN_FOLDER}/{name} is missing")
    try:
        config = ScreenConfig.model_validate_json((path / SCREEN_FOLDER / "config.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(f"{SCREEN_FOLDER}/config.json is not a screen's configuration") from error
    check_screen(path, config)


def _check_copies(path: Path, manifest: Manifest) -> None:
    names = {name for name in manifest.files if name.startswith(f"{COPIES_FOLDER}/")}
    if not names:
        return
    for name in (CONFIG_FILE, INDEX_FILE):
        if f"{COPIES_FOLDER}/{name}" not in names:
            raise BundleError(f"{COPIES_FOLDER}/{name} is missing")
    try:
        config = CopiesConfig.model_validate_json((path / COPIES_FOLDER / CONFIG_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(f"{COPIES_FOLDER}/{CONFIG_FILE} is not an index's configuration") from error
    if config.weights_sha256 != weights_digest(manifest):
        raise BundleError(f"{COPIES_FOLDER}/ is of other weights than the bundle's; run `cxr copies` again")
    check_copies(path, config)


def _check_parts(path: Path, manifest: Manifest, vqgan: VQGANConfig) -> None:
    image, vocabulary = manifest.image, manifest.vocabulary
    check_weights(path)
    check_vqgan(path, vqgan)
    _check_screen(path, manifest)
    _check_copies(path, manifest)
    rows = check_llm(path)["vocab_size"]
    pairs = (
        ("image.size", image.size, "the VQ-GAN's resolution", vqgan.resolution),
        ("image.channels", image.channels, "the VQ-GAN's in_channels", vqgan.in_channels),
        ("image.grid", image.grid, "the VQ-GAN's grid", vqgan.grid),
        ("vocabulary.codebook_size", vocabulary.codebook_size, "the VQ-GAN's n_embed", vqgan.n_embed),
        ("vocabulary.image_offset", vocabulary.image_offset, "text_size", vocabulary.text_size),
        ("text_size + codebook_size", vocabulary.text_size + vocabulary.codebook_size, "the LM's vocab_size", rows),
    )
    for name, value, other, expected in pairs:
        if value != expected:
            raise BundleError(f"{name} is {value}, but {other} is {expected}")
