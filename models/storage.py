"""Models of ours on disk: a folder with `config.json` and `model.safetensors`."""

import json
from pathlib import Path

from pydantic import BaseModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


def save_model(module: nn.Module, config: BaseModel, folder: Path) -> None:
    """Write configuration and weights, as they are, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
    save_file({k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}, folder / WEIGHTS_FILE)


def read_config(folder: Path) -> str:
    """The configuration as JSON. Raises OSError."""
    return (folder / CONFIG_FILE).read_text()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights by name. Raises OSError, SafetensorError."""
    weights: dict[str, Tensor] = load_file(folder / WEIGHTS_FILE)
    return weights
