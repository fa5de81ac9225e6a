"""A model bundle on disk: one folder, no pickle, verified before anything in it is used.

bundle.json   the manifest (class Manifest)
llm/          Hugging Face causal LM: config.json, tokenizer.json, *.safetensors
vqgan/        config.json, model.safetensors
screen/       config.json, model.safetensors; not every bundle has it
calibration.json, findings.json   what `cxr calibrate` found; not every bundle has them
copies/       config.json, index.safetensors: features of the training films; not every bundle has it
"""

from models.bundle.load import Bundle, file_entries, load, sha256_of
from models.bundle.manifest import (
    COPIES_FOLDER,
    LLM_FOLDER,
    MANIFEST_FILE,
    SCREEN_FOLDER,
    VQGAN_FOLDER,
    BundleError,
    Decoding,
    DecodingDefaults,
    DrawDecoding,
    FileEntry,
    ImageSpec,
    Manifest,
    VocabularySpec,
    read_manifest,
    write_manifest,
)

__all__ = [
    "COPIES_FOLDER",
    "LLM_FOLDER",
    "MANIFEST_FILE",
    "SCREEN_FOLDER",
    "VQGAN_FOLDER",
    "Bundle",
    "BundleError",
    "Decoding",
    "DecodingDefaults",
    "DrawDecoding",
    "FileEntry",
    "ImageSpec",
    "Manifest",
    "VocabularySpec",
    "file_entries",
    "load",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]
