"""From published files to a bundle folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.bundle.manifest import Decoding, DecodingDefaults, DrawDecoding, Manifest
from models.bundle.shapes import shapes_of
from models.bundle.writer import DISCLAIMER, BundleWriter, fingerprint
from models.importers import llm, taming
from models.importers.errors import ImportRefused
from models.vocabulary import Vocabulary, VocabularyError
from models.vqgan import VQGANConfig

_INTENDED_USE = "Research on chest radiographs. Not for clinical use."
# What the published model was run with (LLM-CXR, official code).
_DECODING = DecodingDefaults(
    report=Decoding(temperature=1.0, top_p=0.92, max_tokens=128),
    answer=Decoding(temperature=1.0, top_p=0.92, max_tokens=128),
    draw=DrawDecoding(temperature=1.0, top_p=0.92, max_tokens=256),
)
_CARD = """# Model card: {label}

Imported from `{llm}` and `{vqgan}`; weights of the language model in bfloat16, of the VQ-GAN in float32. The
publisher's own card and licence apply.

{disclaimer}

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
        return Vocabulary.from_tokenizer(tokenizer, size, size, architecture.n_embed)
    except VocabularyError as error:
        raise ImportRefused(f"tokenizer: {error}") from error


def import_bundle(
    source: Source,
    out: Path,
    progress: Callable[[str, int], None] = lambda *_: None,
    *,
    shard_bytes: int = llm.SHARD_BYTES,
) -> Manifest:
    """Write the bundle `out` from `source`; `progress` receives every converted weight file and its bytes.

    Files are converted to `out.importing`, where a later import of the same source resumes; `out` appears whole or not
    at all. Raises ImportRefused.
    """
    if out.exists():
        raise ImportRefused(f"{out} exists already; remove it or choose another --out")
    marks = source.fingerprint()
    config = llm.read_config(source.llm)
    image = taming.read_taming(source.vqgan_config, source.vqgan_checkpoint)
    architecture = image.model.config
    shapes = shapes_of(config)
    rows = int(config.vocab_size)
    vocabulary = _vocabulary(source, architecture, rows)
    writer = BundleWriter(out, resume=marks)
    llm.convert(source.llm, shapes, writer, progress, shard_bytes)
    config.architectures = config.architectures or ["GPTNeoXForCausalLM"]
    config.dtype = "bfloat16"
    writer.llm_config(config)
    writer.tokenizer(vocabulary.tokenizer)
    image.model.save(writer.vqgan_folder)
    dropped = [*image.dropped, *shapes.dropped]
    card = _CARD.format(
        label=f"{source.name}-{source.version}",
        llm=source.llm.name,
        vqgan=source.vqgan_checkpoint.name,
        dropped=", ".join(f"`{name}`" for name in dropped) or "nothing",
        disclaimer=DISCLAIMER,
    )
    return writer.publish(
        name=source.name,
        version=source.version,
        licence=source.licence,
        intended_use=_INTENDED_USE,
        vocabulary=vocabulary,
        decoding=_DECODING,
        card=card,
    )
