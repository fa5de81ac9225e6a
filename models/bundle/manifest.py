"""`bundle.json`: what a bundle is, and the sizes that its parts must agree on."""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.findings.spec import MOST_FINDINGS, FindingSpec, check_findings
from models.prompts import Unconditional
from models.vocabulary import Vocabulary
from models.vqgan.config import VQGANConfig

MANIFEST_FILE = "bundle.json"
LLM_FOLDER = "llm"
VQGAN_FOLDER = "vqgan"
# Not every bundle has these two.
SCREEN_FOLDER = "screen"
COPIES_FOLDER = "copies"
CARD_FILE = "MODEL_CARD.md"


class BundleError(ValueError):
    """A bundle that must not be used; the message names the mismatch."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSpec(_Part):
    """Size of the model's square input in pixels, its channels, and the token grid (rows, columns)."""

    size: int = Field(gt=0, le=4096)
    channels: Literal[1, 3]
    grid: tuple[Annotated[int, Field(gt=0, le=1024)], Annotated[int, Field(gt=0, le=1024)]]

    @classmethod
    def from_vqgan(cls, config: VQGANConfig) -> Self:
        """What a VQ-GAN takes. Its input is grey or RGB."""
        return cls(size=config.resolution, channels=3 if config.in_channels == 3 else 1, grid=config.grid)


class VocabularySpec(_Part):
    """Number of text tokens, first image id, number of image codes."""

    text_size: int = Field(gt=0, le=2**24)
    image_offset: int = Field(gt=0, le=2**24)
    codebook_size: int = Field(gt=1, le=2**24)

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary) -> Self:
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
    max_tokens: int = Field(default=128, gt=0, le=2**20)


class DrawDecoding(Decoding):
    """Sampling defaults of drawings: the scale of classifier-free guidance (Ho and Salimans 2022), where 1 is none, and
    the prompt that it moves away from.
    """

    guidance: float = Field(default=1.0, ge=1.0, le=10.0)
    unconditional: Unconditional = "before_image"


class DecodingDefaults(_Part):
    """Sampling defaults per task. A drawing's length is the grid's, whatever `max_tokens` says."""

    report: Decoding = Decoding()
    answer: Decoding = Decoding()
    draw: DrawDecoding = DrawDecoding()


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
    # Whether the model was trained to answer without an image; where not, it is not asked to.
    text_only_answers: bool = False
    # What `/v1/findings` asks, and the one by which a radiograph is abnormal, or `any` of them.
    findings: Annotated[tuple[FindingSpec, ...], Field(max_length=MOST_FINDINGS)] = ()
    abnormal: str | None = None
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _paths_stay_inside(self) -> Self:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
                raise ValueError(f"files: {name!r} is not a plain relative path")
        return self

    @model_validator(mode="after")
    def _findings_are_told_apart(self) -> Self:
        check_findings(self.findings, self.abnormal)
        return self

    @property
    def label(self) -> str:
        """Name and version as clients see them."""
        return f"{self.name}-{self.version}"


def read_manifest(path: Path) -> Manifest:
    """Read and check `bundle.json` alone. Raises BundleError."""
    file = path / MANIFEST_FILE
    if file.exists() and not file.is_file():
        raise BundleError(f"{MANIFEST_FILE} is no file")
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"there is no {MANIFEST_FILE} in {path}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BundleError(f"{MANIFEST_FILE}: {where}: {first['msg']}") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `bundle.json` beside the files it lists."""
    content = manifest.model_dump(mode="json")
    # Releases before know nothing of these.
    for name in ("text_only_answers", "findings", "abnormal"):
        if not content[name]:
            del content[name]
    for name in ("guidance", "unconditional"):
        if getattr(manifest.decoding.draw, name) == getattr(DrawDecoding(), name):
            del content["decoding"]["draw"][name]
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (path / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def weights_digest(manifest: Manifest) -> str:
    """One digest of the weights of `llm/` and `vqgan/`: it stays while card, decoding defaults, screen or the index of
    training films change.
    """
    lines = [
        f"{name} {entry.sha256}"
        for name, entry in sorted(manifest.files.items())
        if name.endswith(".safetensors") and not name.startswith((f"{SCREEN_FOLDER}/", f"{COPIES_FOLDER}/"))
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
