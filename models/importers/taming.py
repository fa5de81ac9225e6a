"""VQ-GANs of CompVis/taming-transformers: a Lightning checkpoint and its configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import ValidationError
from torch import Tensor

from models.importers.errors import ImportRefused
from models.importers.pickles import load_pickle
from models.vqgan import VQGAN, VQGANConfig

_TARGET = "taming.models.vqgan.VQModel"
# Discriminator and LPIPS weights; only training needs them.
_DROPPED = "loss."


@dataclass(frozen=True)
class Taming:
    """An imported VQ-GAN, and the checkpoint's keys that were dropped."""

    model: VQGAN
    dropped: tuple[str, ...]


def read_config(file: Path) -> VQGANConfig:
    """The architecture of taming's YAML. Raises ImportRefused for one that this VQ-GAN does not implement.

    `sane_index_shape` changes the shape of indices, not their order; flat and row-major, both layouts are the same.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        model = content["model"]
        parameters = model["params"]
        dd = dict(parameters["ddconfig"])
        sizes = {"embed_dim": parameters["embed_dim"], "n_embed": parameters["n_embed"]}
    except FileNotFoundError as error:
        raise ImportRefused(f"{file.name}: there is no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ImportRefused(f"{file.name} is not YAML") from error
    except (KeyError, TypeError) as error:
        raise ImportRefused(f"{file.name} is not a taming VQ-GAN configuration: {error} is missing") from error
    target = model.get("target", _TARGET)
    if target != _TARGET:
        raise ImportRefused(f"{file.name} describes {target}; only {_TARGET} can be imported")
    if parameters.get("remap") is not None:
        raise ImportRefused(f"{file.name} remaps codes (remap: {parameters['remap']}); remapped codebooks are not read")
    try:
        return VQGANConfig.model_validate({**dd, **sizes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "ddconfig"
        raise ImportRefused(f"{file.name}: {where}: {first['msg']}") from error


def _weights(file: Path) -> dict[str, Tensor]:
    content: dict[str, Any] = load_pickle(file)
    weights = content.get("state_dict", content)
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ImportRefused(f"{file.name} has no state_dict of tensors")
    return weights


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def read_taming(config: Path, checkpoint: Path) -> Taming:
    """A VQ-GAN from `config` (YAML) and `checkpoint` (Lightning's). Raises ImportRefused naming the mismatch."""
    architecture = read_config(config)
    found = _weights(checkpoint)
    dropped = tuple(sorted(name for name in found if name.startswith(_DROPPED)))
    weights = {name: tensor.float() for name, tensor in found.items() if name not in dropped}
    with torch.device("meta"):
        model = VQGAN(architecture)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for what, names in (("lacks", wanted.keys() - given.keys()), ("has unknown", given.keys() - wanted.keys())):
        if names:
            raise ImportRefused(f"{checkpoint.name} {what} tensors for {config.name}: {_listed(sorted(names))}")
    for name, shape in wanted.items():
        if given[name] != shape:
            raise ImportRefused(f"{checkpoint.name}: {name} is {given[name]}, {config.name} says {shape}")
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ImportRefused(f"{checkpoint.name}: {_listed(broken)} hold values that are not finite")
    model.load_state_dict(weights, strict=True, assign=True)
    return Taming(model.eval(), dropped)


def load_taming_vqgan(config: Path, checkpoint: Path) -> VQGAN:
    """As `read_taming`, the model alone."""
    return read_taming(Path(config), Path(checkpoint)).model
