"""A model bundle on disk: one folder, no pickle, verified before anything in it is used.

bundle.json   the manifest (class Manifest)
llm/          Hugging Face causal LM: config.json, tokenizer.json, *.safetensors
vqgan/        config.json, model.safetensors
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.prompts import Prompts
from models.vocabulary import Vocabulary, VocabularyError
from models.vqgan.config import VQGANConfig

MANIFEST_FILE = "bundle.json"
LLM_FOLDER = "llm"
VQGAN_FOLDER = "vqgan"
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".py"}
_CHUNK = 1 << 20


class BundleError(ValueError):
    """A bundle that must not be used; the message names the mismatch."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSpec(_Part):
    """Size of the model's square input in pixels, its channels, and the token grid (rows, columns)."""

    size: int = Field(gt=0)
    channels: Literal[1, 3]
    grid: tuple[int, int]

    @classmethod
    def of(cls, config: VQGANConfig) -> Self:
        """What a VQ-GAN takes. Its input is grey or RGB."""
        return cls(size=config.resolution, channels=3 if config.in_channels == 3 else 1, grid=config.grid)


class VocabularySpec(_Part):
    """Number of text tokens, first image id, number of image codes."""

    text_size: int = Field(gt=0)
    image_offset: int = Field(gt=0)
    codebook_size: int = Field(gt=1)

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Self:
        """The sizes of a vocabulary."""
        return cls(
            text_size=vocabulary.text_size,
            image_offset=vocabulary.image_offset,
            codebook_size=vocabulary.codebook_size,
        )


class Decoding(_Part):
    """Sampling defaults of one task."""

    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    top_p: float = Field(default=0.92, gt=0.0, le=1.0)
    max_tokens: int = Field(default=128, gt=0)


class DecodingDefaults(_Part):
    """Sampling defaults per task. A drawing's length is the grid's, whatever `max_tokens` says."""

    report: Decoding = Decoding()
    answer: Decoding = Decoding()
    draw: Decoding = Decoding()


class FileEntry(_Part):
    """Checksum and size of one file."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: int = Field(ge=0)


class Manifest(_Part):
    """`bundle.json`."""

    schema_version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,31}$")]
    intended_use: str
    licence: str
    image: ImageSpec
    vocabulary: VocabularySpec
    prompt_format: Literal["llm-cxr"]
    decoding: DecodingDefaults = DecodingDefaults()
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _paths_stay_inside(self) -> Self:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
                raise ValueError(f"files: {name!r} is not a plain relative path")
        return self

    @property
    def label(self) -> str:
        """Name and version as clients see them."""
        return f"{self.name}-{self.version}"


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
    """Manifest entries of everything in `llm/` and `vqgan/` and of the other files of a bundle, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE)
    return {
        path.relative_to(folder).as_posix(): FileEntry(sha256=sha256_of(path), bytes=path.stat().st_size)
        for path in paths
    }


def read_manifest(path: Path) -> Manifest:
    """Read and check `bundle.json` alone. Raises BundleError."""
    file = path / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"there is no {MANIFEST_FILE} in {path}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BundleError(f"{MANIFEST_FILE}: {where}: {first['msg']}") from error


def load(path: Path, progress: Callable[[int], None] | None = None) -> Bundle:
    """Verify every checksum, cross-check the parts, and return the bundle. Raises BundleError."""
    manifest = read_manifest(path)
    _check_files(path, manifest, progress)
    vqgan = _vqgan_config(path)
    _check_parts(path, manifest, vqgan)
    spec = manifest.vocabulary
    try:
        vocabulary = Vocabulary.load(
            path / LLM_FOLDER / "tokenizer.json", spec.text_size, spec.image_offset, spec.codebook_size
        )
    except VocabularyError as error:
        raise BundleError(f"tokenizer: {error}") from error
    file = path / MANIFEST_FILE
    created = int(file.stat().st_mtime)
    return Bundle(path, manifest, vocabulary, Prompts(vocabulary), sha256_of(file), created)


def _check_files(path: Path, manifest: Manifest, progress: Callable[[int], None] | None) -> None:
    on_disk = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()} - {MANIFEST_FILE}
    for name in sorted(on_disk):
        if PurePosixPath(name).suffix.lower() in PICKLE_SUFFIXES:
            raise BundleError(f"{name}: a bundle holds no pickled data and no code")
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


def _llm_vocabulary_size(path: Path) -> int:
    try:
        config = json.loads((path / LLM_FOLDER / "config.json").read_bytes())
        return int(config["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{LLM_FOLDER}/config.json is missing or has no vocab_size") from error


def _check_parts(path: Path, manifest: Manifest, vqgan: VQGANConfig) -> None:
    image, vocabulary = manifest.image, manifest.vocabulary
    rows = _llm_vocabulary_size(path)
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


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `bundle.json` beside the files it lists."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (path / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
