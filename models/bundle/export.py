"""Trained parts to a bundle folder."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from models.bundle import (
    LLM_FOLDER,
    VQGAN_FOLDER,
    DecodingDefaults,
    ImageSpec,
    Manifest,
    VocabularySpec,
    file_entries,
    read_manifest,
    write_manifest,
)
from models.vocabulary import PADDING, Vocabulary
from models.vqgan import VQGAN

CARD_FILE = "MODEL_CARD.md"


def replace_card(folder: Path, card: str) -> Manifest:
    """Put another MODEL_CARD.md into a bundle, and its checksum into the manifest."""
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    manifest = read_manifest(folder).model_copy(update={"files": file_entries(folder)})
    write_manifest(folder, manifest)
    return manifest


def export_bundle(
    folder: Path,
    *,
    name: str,
    version: str,
    licence: str,
    intended_use: str,
    vqgan: VQGAN,
    llm: PreTrainedModel,
    vocabulary: Vocabulary,
    decoding: DecodingDefaults,
    card: str = "Not evaluated yet. Not for clinical use.\n",
    dtype: torch.dtype = torch.bfloat16,
) -> Manifest:
    """Write a complete bundle to `folder`, replacing what is there once everything is written.

    Language-model weights are stored as `dtype`; the configuration asks for fp32 at run time, fastest on CPUs.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    llm_folder = partial / LLM_FOLDER
    llm_folder.mkdir(parents=True)
    weights = {key: tensor.detach().to(dtype).contiguous() for key, tensor in llm.state_dict().items()}
    save_file(weights, llm_folder / "model.safetensors", metadata={"format": "pt"})
    llm.config.architectures = [type(llm).__name__]
    llm.config.save_pretrained(llm_folder)
    vocabulary.tokenizer.save(str(llm_folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": PADDING, "pad_token": PADDING}
    (llm_folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    vqgan.save(partial / VQGAN_FOLDER)
    (partial / CARD_FILE).write_text(card, encoding="utf-8")
    manifest = Manifest(
        schema_version=1,
        name=name,
        version=version,
        intended_use=intended_use,
        licence=licence,
        image=ImageSpec.of(vqgan.config),
        vocabulary=VocabularySpec.of(vocabulary),
        prompt_format="llm-cxr",
        decoding=decoding,
        files=file_entries(partial),
    )
    write_manifest(partial, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return manifest
