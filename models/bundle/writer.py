"""The one way a bundle comes to be: files are hashed while they are written to a partial folder, which is renamed last.

A bundle therefore appears whole or not at all. A resumable one is written to `NAME.importing`, where a journal keeps
what a stopped run has written; any other to `NAME.partial`, which begins empty.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PretrainedConfig

from models.bundle.load import file_entries, sha256_of
from models.bundle.manifest import (
    CARD_FILE,
    LLM_FOLDER,
    VQGAN_FOLDER,
    DecodingDefaults,
    FileEntry,
    ImageSpec,
    Manifest,
    VocabularySpec,
    read_manifest,
    write_manifest,
)
from models.bundle.shapes import INDEX_FILE
from models.storage import CONFIG_FILE, WEIGHTS_FILE
from models.vocabulary import PADDING, Vocabulary
from models.vqgan.config import VQGANConfig

DISCLAIMER = "**Not a medical device. Not for clinical use.**"
TOKENIZER_FILE = "tokenizer.json"
_JOURNAL = "import.json"
_CHUNK = 16 * 2**20
_TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": PADDING, "pad_token": PADDING}


def fingerprint(file: Path) -> str:
    """Name, size and time of a source file: enough to notice that it is another one."""
    stat = file.stat()
    return f"{file.name} {stat.st_size} {stat.st_mtime_ns}"


class BundleWriter:
    """Writes the bundle `out`: its files in any order, then `publish`."""

    def __init__(self, out: Path, *, resume: str | None = None) -> None:
        """`resume` names everything that the bundle is made of: a stopped run of the same source is continued."""
        self.out = out
        self.folder = out.with_name(f"{out.name}.{'partial' if resume is None else 'importing'}")
        self.entries: dict[str, FileEntry] = {}
        self._source = resume
        self._finished: dict[str, dict[str, Any]] = {}
        if resume is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume is not None:
            self._read_journal()

    def _read_journal(self) -> None:
        try:
            journal = json.loads((self.folder / _JOURNAL).read_text())
        except (OSError, ValueError):
            return
        if journal.get("source") != self._source:
            return
        entries = {name: FileEntry(**entry) for name, entry in journal["entries"].items()}
        if all(self._size(name) == entry.bytes for name, entry in entries.items()):
            self.entries, self._finished = entries, journal["finished"]

    def _size(self, name: str) -> int:
        path = self.folder / name
        return path.stat().st_size if path.is_file() else -1

    def finished(self, file: Path) -> dict[str, Any] | None:
        """What `finish` noted about a source file, None where it is still to be converted."""
        return self._finished.get(fingerprint(file))

    def finish(self, file: Path, note: dict[str, Any]) -> None:
        """Note that everything of a source file is written."""
        self._finished[fingerprint(file)] = note
        journal = {
            "source": self._source,
            "entries": {name: entry.model_dump() for name, entry in self.entries.items()},
            "finished": self._finished,
        }
        partial = self.folder / f"{_JOURNAL}.partial"
        partial.write_text(json.dumps(journal))
        partial.replace(self.folder / _JOURNAL)

    def content(self, name: str, data: bytes) -> None:
        """Write a file and remember its checksum."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        total = hashlib.sha256()
        view = memoryview(data)
        with path.open("wb") as stream:
            for start in range(0, len(view), _CHUNK):
                total.update(view[start : start + _CHUNK])
                stream.write(view[start : start + _CHUNK])
        self.entries[name] = FileEntry(sha256=total.hexdigest(), bytes=len(view))

    def text(self, name: str, text: str) -> None:
        """Write a text file."""
        self.content(name, text.encode())

    def adopt(self, name: str) -> None:
        """Take a file into the bundle that another library wrote to `folder`."""
        self.entries[name] = FileEntry(sha256=sha256_of(self.folder / name), bytes=self._size(name))

    def weights(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write a safetensors file of the language model."""
        self.content(f"{LLM_FOLDER}/{name}", save(tensors, metadata={"format": "pt"}))

    def weight_index(self, weight_map: dict[str, str], total_bytes: int) -> None:
        """Write the index that names each tensor's file."""
        index = {"metadata": {"total_size": total_bytes}, "weight_map": weight_map}
        self.text(f"{LLM_FOLDER}/{INDEX_FILE}", json.dumps(index, indent=2) + "\n")

    def llm_config(self, config: PretrainedConfig) -> None:
        """Write the language model's configuration."""
        config.save_pretrained(self.folder / LLM_FOLDER)
        self.adopt(f"{LLM_FOLDER}/{CONFIG_FILE}")

    def tokenizer(self, tokenizer: Tokenizer) -> None:
        """Write the tokenizer, and what transformers needs beside it."""
        self.text(f"{LLM_FOLDER}/{TOKENIZER_FILE}", tokenizer.to_str(pretty=True))
        self.text(f"{LLM_FOLDER}/tokenizer_config.json", json.dumps(_TOKENIZER_CONFIG, indent=2) + "\n")

    @property
    def vqgan_folder(self) -> Path:
        """Where a VQ-GAN is to be saved before `publish`."""
        return self.folder / VQGAN_FOLDER

    def publish(
        self,
        *,
        name: str,
        version: str,
        licence: str,
        intended_use: str,
        vocabulary: Vocabulary,
        decoding: DecodingDefaults,
        card: str,
        replace: bool = False,
    ) -> Manifest:
        """Write card and manifest and rename the folder to `out`, after removing what is there if `replace` is set.

        Raises OSError where `out` exists and is not to be replaced; pydantic.ValidationError for a name or version
        that no manifest can have, after which a resumable bundle can be continued.
        """
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            self.adopt(f"{VQGAN_FOLDER}/{file}")
        vqgan = VQGANConfig.model_validate_json((self.vqgan_folder / CONFIG_FILE).read_bytes())
        self.text(CARD_FILE, card)
        manifest = Manifest(
            schema_version=1,
            name=name,
            version=version,
            intended_use=intended_use,
            licence=licence,
            image=ImageSpec.from_vqgan(vqgan),
            vocabulary=VocabularySpec.from_vocabulary(vocabulary),
            prompt_format="llm-cxr",
            decoding=decoding,
            files=dict(sorted(self.entries.items())),
        )
        self._remove_what_is_not_listed()
        write_manifest(self.folder, manifest)
        if replace:
            shutil.rmtree(self.out, ignore_errors=True)
        self.folder.rename(self.out)
        return manifest

    def _remove_what_is_not_listed(self) -> None:
        for file in sorted(self.folder.rglob("*"), reverse=True):
            if file.is_file() and file.relative_to(self.folder).as_posix() not in self.entries:
                file.unlink()


def replace_card(folder: Path, card: str) -> Manifest:
    """Put another MODEL_CARD.md into a bundle, and its checksum into the manifest."""
    return put_file(folder, CARD_FILE, card)


def put_file(folder: Path, name: str, text: str) -> Manifest:
    """Put a text file into a bundle, in place of what has its name, and its checksum into the manifest."""
    (folder / name).write_text(text, encoding="utf-8")
    manifest = read_manifest(folder).model_copy(update={"files": file_entries(folder)})
    write_manifest(folder, manifest)
    return manifest
