"""From published files to a bundle folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.bundle import (
    LLM_FOLDER,
    VQGAN_FOLDER,
    Decoding,
    DecodingDefaults,
    ImageSpec,
    Manifest,
    VocabularySpec,
    write_manifest,
)
from models.bundle.writer import Writer, fingerprint
from models.importers import llm, taming
from models.importers.errors import ImportRefused
from models.vocabulary import PADDING, Vocabulary, VocabularyError
from models.vqgan import VQGANConfig

_INTENDED_USE = "Research on chest radiographs. Not for clinical use."
# What the published model was run with (LLM-CXR, official code).
_DECODING = DecodingDefaults(
    report=Decoding(temperature=1.0, top_p=0.92, max_tokens=128),
    answer=Decoding(temperature=1.0, top_p=0.92, max_tokens=128),
    draw=Decoding(temperature=1.0, top_p=0.92, max_tokens=256),
)
_CARD = """# Model card: {label}

Imported from `{llm}` and `{vqgan}`; weights of the language model in bfloat16, of the VQ-GAN in float32. The
publisher's own card and licence apply.

**Not a medical device. Not for clinical use.**

Left out, because only training needs it: {dropped}.
"""


@dataclass(frozen=True)
class Source:
    """The published files, and what the bundle is to be called."""

    llm: Path
    vqgan_config: Path
    vqgan_checkpoint: Path
    name: str = "llm-cxr"
    version: str = "1.0"
    licence: str = "see the publisher"

    def fingerprint(self) -> str:
        """Everything that decides the bundle. Raises ImportRefused where a file is missing."""
        files = [*llm.weight_files(self.llm), self.llm / "config.json", self.vqgan_config, self.vqgan_checkpoint]
        for file in files:
            if not file.is_file():
                raise ImportRefused(f"{file.name}: there is no such file")
        return "\n".join(fingerprint(file) for file in files)

    @property
    def bytes(self) -> int:
        """Size of the language model's weights."""
        return sum(file.stat().st_size for file in llm.weight_files(self.llm))


def _vocabulary(source: Source, architecture: VQGANConfig, rows: int) -> Vocabulary:
    """The joint vocabulary. Raises ImportRefused where tokenizer, codebook and embedding do not add up."""
    tokenizer = llm.read_tokenizer(source.llm)
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    if size + architecture.n_embed != rows:
        raise ImportRefused(
            f"the model has {rows} embedding rows, but the tokenizer has {size} entries and the codebook "
            f"{architecture.n_embed}: together {size + architecture.n_embed}"
        )
    try:
        return Vocabulary.of(tokenizer, size, size, architecture.n_embed)
    except VocabularyError as error:
        raise ImportRefused(f"tokenizer: {error}") from error


def import_bundle(source: Source, out: Path, progress: Callable[[str, int], None] = lambda *_: None) -> Manifest:
    """Write the bundle `out` from `source`; `progress` is told every converted weight file and its bytes.

    Work is done in `out.importing`, from which a later import of the same files goes on; `out` appears whole or not at
    all. Raises ImportRefused.
    """
    if out.exists():
        raise ImportRefused(f"{out} exists already; remove it or choose another --out")
    marks = source.fingerprint()
    config = llm.read_config(source.llm)
    image = taming.read_taming(source.vqgan_config, source.vqgan_checkpoint)
    architecture = image.model.config
    shapes = llm.shapes_of(config)
    rows = int(config.vocab_size)
    vocabulary = _vocabulary(source, architecture, rows)
    writer = Writer(out.with_name(f"{out.name}.importing"), marks)
    llm.convert(source.llm, shapes, writer, LLM_FOLDER, progress)
    config.architectures = config.architectures or ["GPTNeoXForCausalLM"]
    config.dtype = "bfloat16"
    config.save_pretrained(writer.folder / LLM_FOLDER)
    vocabulary.tokenizer.encode_special_tokens = False
    vocabulary.tokenizer.save(str(writer.folder / LLM_FOLDER / "tokenizer.json"))
    for name in ("config.json", "tokenizer.json"):
        writer.adopt(f"{LLM_FOLDER}/{name}")
    tokenizer_config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": PADDING, "pad_token": PADDING}
    writer.text(f"{LLM_FOLDER}/tokenizer_config.json", json.dumps(tokenizer_config, indent=2) + "\n")
    image.model.save(writer.folder / VQGAN_FOLDER)
    for name in ("config.json", "model.safetensors"):
        writer.adopt(f"{VQGAN_FOLDER}/{name}")
    dropped = [*image.dropped, *shapes.dropped]
    label = f"{source.name}-{source.version}"
    card = _CARD.format(
        label=label,
        llm=source.llm.name,
        vqgan=source.vqgan_checkpoint.name,
        dropped=", ".join(f"`{name}`" for name in dropped) or "nothing",
    )
    writer.text("MODEL_CARD.md", card)
    manifest = Manifest(
        schema_version=1,
        name=source.name,
        version=source.version,
        intended_use=_INTENDED_USE,
        licence=source.licence,
        image=ImageSpec.of(architecture),
        vocabulary=VocabularySpec.of(vocabulary),
        prompt_format="llm-cxr",
        decoding=_DECODING,
        files=dict(sorted(writer.entries.items())),
    )
    writer.close()
    write_manifest(writer.folder, manifest)
    writer.folder.rename(out)
    return manifest
