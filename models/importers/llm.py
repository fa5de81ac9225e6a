"""A Hugging Face causal language model, converted shard by shard."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

from models.bundle.writer import Writer
from models.importers.errors import ImportRefused
from models.importers.pickles import load_pickle

_SHARD_BYTES = 512 * 2**20
_DTYPE = torch.bfloat16
# Buffers that older GPT-NeoX files hold and that the model computes itself.
_BUFFERS = (".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq")
# The output layer in files of GPT-NeoX as they are published: what transformers calls it.
_PUBLISHED_NAMES = {"embed_out.weight": "lm_head.weight"}
_SLOW_FILES = ("vocab.json", "tokenizer.model", "spiece.model", "vocab.txt")
INDEX_FILE = "model.safetensors.index.json"


@dataclass
class Shapes:
    """Names and shapes that the model wants; what is still missing shrinks as tensors arrive."""

    wanted: dict[str, tuple[int, ...]]
    optional: frozenset[str]
    dropped: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def known_as(self, name: str) -> str:
        """The model's own name of a tensor that a file calls `name`."""
        own = _PUBLISHED_NAMES.get(name, name)
        return own if own in self.wanted and name not in self.wanted else name

    def take(self, file: str, name: str, shape: tuple[int, ...]) -> bool:
        """Whether tensor `name` belongs to the model. Raises ImportRefused for an unknown name or another shape."""
        if name not in self.wanted:
            if name.endswith(_BUFFERS):
                self.dropped.append(name)
                return False
            raise ImportRefused(f"{file}: the model has no tensor {name}")
        if shape != self.wanted[name]:
            raise ImportRefused(f"{file}: {name} is {shape}, config.json says {self.wanted[name]}")
        if name in self.seen:
            raise ImportRefused(f"{file}: {name} occurs twice")
        self.seen.add(name)
        return True

    def check(self, folder: str) -> None:
        """Raises ImportRefused naming a tensor that never came."""
        missing = sorted(self.wanted.keys() - self.seen - self.optional)
        if missing:
            raise ImportRefused(f"{folder} lacks {len(missing)} tensors, the first is {missing[0]}")


def read_config(folder: Path) -> PretrainedConfig:
    """The model's configuration; no code of the folder is run. Raises ImportRefused."""
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ImportRefused(f"{folder.name}/config.json is missing or of no known model") from error


def shapes_of(config: PretrainedConfig) -> Shapes:
    """What the model's state must hold."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    tied = frozenset(getattr(model, "all_tied_weights_keys", None) or ())
    return Shapes({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tied)


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


def convert(folder: Path, shapes: Shapes, writer: Writer, target: str, progress: Callable[[str, int], None]) -> None:
    """Write the weights to `target` as bf16 shards of half a gibibyte and their index. Raises ImportRefused.

    At most one shard is held in memory; a source shard already converted is skipped.
    """
    files = weight_files(folder)
    weight_map: dict[str, str] = {}
    for number, file in enumerate(files):
        done = writer.finished(file)
        if done is not None:
            for name in done["seen"]:
                shapes.take(file.name, name, shapes.wanted[name])
            weight_map.update(done["weight_map"])
            progress(file.name, file.stat().st_size)
            continue
        placed, seen = _convert_file(file, shapes, writer, target, number)
        weight_map.update(placed)
        writer.finish(file, {"weight_map": placed, "seen": seen})
        progress(file.name, file.stat().st_size)
    shapes.check(folder.name)
    total = sum(torch.Size(shapes.wanted[name]).numel() for name in weight_map) * _DTYPE.itemsize
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    writer.text(f"{target}/{INDEX_FILE}", json.dumps(index, indent=2) + "\n")


def _convert_file(
    file: Path, shapes: Shapes, writer: Writer, target: str, number: int
) -> tuple[dict[str, str], list[str]]:
    part: dict[str, Tensor] = {}
    placed: dict[str, str] = {}
    seen: list[str] = []

    def flush() -> None:
        if part:
            name = f"model-{number:03d}-{len(set(placed.values())):03d}.safetensors"
            writer.tensors(f"{target}/{name}", part)
            placed.update(dict.fromkeys(part, name))
            part.clear()

    held = 0
    for published, tensor in _tensors(file):
        name = shapes.known_as(published)
        if not shapes.take(file.name, name, tuple(tensor.shape)):
            continue
        seen.append(name)
        if held >= _SHARD_BYTES:
            flush()
            held = 0
        part[name] = tensor.to(_DTYPE, copy=True).contiguous()
        if not torch.isfinite(part[name]).all():
            raise ImportRefused(f"{file.name}: {name} holds values that are not finite")
        held += part[name].nbytes
    flush()
    return placed, seen
