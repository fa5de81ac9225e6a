"""A Hugging Face causal language model, converted shard by shard."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig

from models.bundle.shapes import ShapeError, Shapes
from models.bundle.writer import BundleWriter
from models.importers.errors import ImportRefused
from models.importers.pickles import load_pickle

SHARD_BYTES = 512 * 2**20
_DTYPE = torch.bfloat16
_SLOW_FILES = ("vocab.json", "tokenizer.model", "spiece.model", "vocab.txt")


def read_config(folder: Path) -> PretrainedConfig:
    """The model's configuration; no code of the folder is run. Raises ImportRefused."""
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ImportRefused(f"{folder.name}/config.json is missing or of no known model") from error


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of `tokenizer.json`, else of slow tokenizer files. Raises ImportRefused."""
    try:
        if (folder / "tokenizer.json").exists():
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        if not any((folder / name).exists() for name in _SLOW_FILES):
            raise FileNotFoundError(f"neither tokenizer.json nor any of {', '.join(_SLOW_FILES)} is there")
        slow = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer: Tokenizer = slow.backend_tokenizer
        return tokenizer
    except Exception as error:
        raise ImportRefused(f"{folder.name} has no readable tokenizer: {str(error)[:150]}") from error


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, safetensors first; optimiser states and the like are not among them.

    Raises ImportRefused where there are none, or an index names one that is missing.
    """
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        index = folder / f"{stem}.{suffix}.index.json"
        if index.exists():
            try:
                names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            except (ValueError, KeyError, AttributeError) as error:
                raise ImportRefused(f"{index.name} is not an index of shards") from error
            missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
            if missing:
                raise ImportRefused(f"{index.name} names {missing[0]}, which is not there")
            return [folder / name for name in names]
        single = folder / f"{stem}.{suffix}"
        if single.exists():
            return [single]
    raise ImportRefused(f"{folder.name} holds neither model*.safetensors nor pytorch_model*.bin")


def _tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    if file.suffix == ".bin":
        content = load_pickle(file)
        for name in list(content):
            tensor = content.pop(name)
            if not isinstance(tensor, Tensor):
                raise ImportRefused(f"{file.name}: {name} is no tensor")
            yield name, tensor
        return
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a mapping
                yield name, opened.get_tensor(name)
    except SafetensorError as error:
        raise ImportRefused(f"{file.name} is damaged: {error}") from error


def convert(
    folder: Path, shapes: Shapes, writer: BundleWriter, progress: Callable[[str, int], None], shard_bytes: int
) -> None:
    """Write the weights as bf16 shards of about `shard_bytes` and their index. Raises ImportRefused.

    At most one shard is held in memory; a source shard already converted is skipped.
    """
    files = weight_files(folder)
    weight_map: dict[str, str] = {}
    try:
        for number, file in enumerate(files):
            weight_map.update(_convert_once(file, shapes, writer, number, shard_bytes))
            progress(file.name, file.stat().st_size)
        shapes.check(folder.name)
    except ShapeError as error:
        raise ImportRefused(str(error)) from error
    total = sum(torch.Size(shapes.wanted[name]).numel() for name in weight_map) * _DTYPE.itemsize
    writer.weight_index(weight_map, total)


def _convert_once(file: Path, shapes: Shapes, writer: BundleWriter, number: int, shard_bytes: int) -> dict[str, str]:
    """The shard of each tensor of a source file, which is converted unless a stopped import has done so."""
    done = writer.finished(file)
    if done is not None:
        for name in done["seen"]:
            shapes.take(file.name, name, shapes.wanted[name])
        placed: dict[str, str] = done["weight_map"]
        return placed
    placed, seen = _convert_file(file, shapes, writer, number, shard_bytes)
    writer.finish(file, {"weight_map": placed, "seen": seen})
    return placed


def _convert_file(
    file: Path, shapes: Shapes, writer: BundleWriter, number: int, shard_bytes: int
) -> tuple[dict[str, str], list[str]]:
    part: dict[str, Tensor] = {}
    placed: dict[str, str] = {}
    seen: list[str] = []

    def flush() -> None:
        if part:
            name = f"model-{number:03d}-{len(set(placed.values())):03d}.safetensors"
            writer.weights(name, part)
            placed.update(dict.fromkeys(part, name))
            part.clear()

    held = 0
    for published, tensor in _tensors(file):
        name = shapes.known_as(published)
        if not shapes.take(file.name, name, tuple(tensor.shape)):
            continue
        seen.append(name)
        if held >= shard_bytes:
            flush()
            held = 0
        part[name] = tensor.to(_DTYPE, copy=True).contiguous()
        if not torch.isfinite(part[name]).all():
            raise ImportRefused(f"{file.name}: {name} holds values that are not finite")
        held += part[name].nbytes
    flush()
    return placed, seen
