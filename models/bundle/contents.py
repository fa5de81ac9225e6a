"""What a bundle may consist of: plain files of known kinds, no links, no code, and sizes that its weights can hold."""

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open

from models.bundle.manifest import COPIES_FOLDER, LLM_FOLDER, MANIFEST_FILE, SCREEN_FOLDER, VQGAN_FOLDER, BundleError
from models.copies.config import CopiesConfig
from models.copies.index import INDEX_FILE, shapes_of
from models.screen.config import ScreenConfig
from models.vqgan.config import VQGANConfig

# Data that is parsed without being run. A tokenizer's `.model` is a protocol buffer.
SUFFIXES = frozenset({".json", ".safetensors", ".md", ".txt", ".csv", ".model", ".png", ".jpg", ".jpeg", ".webp"})
_NAMES = frozenset({"LICENSE", "LICENCE", "NOTICE", "README", "AUTHORS", ".gitattributes"})
# What makes Hugging Face's libraries import Python code of a model folder.
_CODE_KEYS = frozenset({"auto_map", "custom_generate", "custom_pipelines", "trust_remote_code"})
# Vocabularies: their keys are tokens, of which any may be such a word.
_VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})
# No field of a configuration that counts something is larger in any model that is published.
_MOST_COUNT = 2**24
_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "word_embed_proj_dim")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_INNER = ("intermediate_size", "n_inner", "ffn_dim", "d_ff")
_COUNTS = (*_WIDTHS, *_LAYERS, *_INNER, "num_attention_heads", "max_position_embeddings", "num_local_experts")
# Weights of four bits are the smallest that are in use.
_WEIGHTS_A_BYTE = 2
_MOST_JSON_BYTES = 200_000_000


def files_of(path: Path) -> list[str]:
    """Relative names of a bundle's files, `bundle.json` left out. Raises BundleError for what may not be there."""
    return [name for name in sorted(_walk(path)) if name != MANIFEST_FILE]


def _walk(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if not name.isprintable():
            raise BundleError(f"{name!r}: a bundle's files have names that can be printed")
        mode = file.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise BundleError(f"{name}: a bundle holds no symbolic links")
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise BundleError(f"{name}: a bundle holds nothing but files")
        plain = PurePosixPath(name)
        if plain.suffix.lower() not in SUFFIXES and plain.name not in _NAMES:
            raise BundleError(f"{name}: a bundle holds no pickled data, no code, and no files of unknown kinds")
        yield name


def check_weights(path: Path) -> None:
    """Read every weight file's header: types, shapes and offsets have to fit its size. Raises BundleError."""
    for file in sorted(path.rglob("*.safetensors")):
        try:
            with safe_open(file, framework="np") as opened:
                opened.keys()
        except (SafetensorError, OSError) as error:
            name = file.relative_to(path).as_posix()
            raise BundleError(f"{name} is no safetensors file that can be read: {error}") from error


def check_llm(path: Path) -> Mapping[str, Any]:
    """The language model's configuration, in which sizes and references to code were checked. Raises BundleError."""
    folder = path / LLM_FOLDER
    for file in sorted(path.rglob("*.json")):
        if file.name in _VOCABULARIES or file == path / MANIFEST_FILE:
            continue
        if keys := sorted(_CODE_KEYS & set(_keys(_json(file)))):
            place = file.relative_to(path).as_posix()
            raise BundleError(f"{place}: {keys[0]} makes Python code run, which no bundle brings")
    config = _json(folder / "config.json") if (folder / "config.json").is_file() else None
    if not isinstance(config, dict) or not _is_count(config.get("vocab_size")):
        raise BundleError(f"{LLM_FOLDER}/config.json is missing or has no vocab_size")
    for name in _COUNTS:
        if config.get(name) is not None and not _is_count(config[name]):
            raise BundleError(f"{LLM_FOLDER}/config.json: {name} is {str(config[name])[:40]}, which no model has")
    width, layers, inner = (_most(config, names) for names in (_WIDTHS, _LAYERS, _INNER))
    experts = config.get("num_local_experts") or 1
    held = _weights(folder) * _WEIGHTS_A_BYTE
    if max(config["vocab_size"] * width, layers * width**2, layers * width * inner * experts) > held:
        raise BundleError(f"{LLM_FOLDER}/config.json describes a model that is larger than its weight files")
    return config


def check_vqgan(path: Path, config: VQGANConfig) -> None:
    """Compare a VQ-GAN's sizes with its weights before anything is allocated. Raises BundleError."""
    held = _weights(path / VQGAN_FOLDER) * _WEIGHTS_A_BYTE
    widest = config.ch * max(config.ch_mult)
    if max(widest**2, config.n_embed * config.embed_dim, config.z_channels * config.embed_dim) > held:
        raise BundleError(f"{VQGAN_FOLDER}/config.json describes a model that is larger than its weight files")


def check_screen(path: Path, config: ScreenConfig) -> None:
    """Compare a screen's sizes with its weights before anything is allocated. Raises BundleError."""
    held = _weights(path / SCREEN_FOLDER) * _WEIGHTS_A_BYTE
    widest = max(config.channels)
    if max(widest**2, config.squeezed * config.hidden * config.last_side**2) > held:
        raise BundleError(f"{SCREEN_FOLDER}/config.json describes a model that is larger than its weight files")


def check_copies(path: Path, config: CopiesConfig) -> None:
    """Compare names, types and shapes of an index with its configuration, by its header. Raises BundleError."""
    with safe_open(path / COPIES_FOLDER / INDEX_FILE, framework="np") as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  it is no mapping
    found = {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    for name, wanted in shapes_of(config).items():
        if found.pop(name, None) != wanted:
            raise BundleError(f"{COPIES_FOLDER}/{INDEX_FILE}: {name} is not what {COPIES_FOLDER}/config.json describes")
    if found:
        raise BundleError(f"{COPIES_FOLDER}/{INDEX_FILE}: {sorted(found)[0]!r} is no part of an index")


def _most(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return max([config[name] for name in names if config.get(name) is not None], default=1)


def _keys(found: Any) -> Iterator[str]:
    """Keys whose value is set, at any depth."""
    left = [found]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield from (key for key, value in one.items() if value)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _json(file: Path) -> Any:
    try:
        if file.stat().st_size > _MOST_JSON_BYTES:
            raise ValueError(file.name)
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise BundleError(f"{file.parent.name}/{file.name} is no JSON that can be read") from error


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_COUNT


def _weights(folder: Path) -> int:
    """Bytes of a model's weight files."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
