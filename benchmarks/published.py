"""Files of the published kind and size, of random weights: a GPT-NeoX folder, a taming checkpoint."""

import json
from pathlib import Path

import torch
import yaml
from transformers import AutoModelForCausalLM

from models.bundle.random import PRESETS, filled_tokenizer, llm_config, vqgan_config
from models.vqgan import VQGAN

SHARD_BYTES = 2 * 2**30
PUBLISHED = PRESETS["published"]
assert PUBLISHED.vqgan_channels is not None
VQGAN_CONFIG = vqgan_config(PUBLISHED.vqgan_channels)
# What taming's `ddconfig` holds; the rest of a configuration stands beside it, or is taming's own constant.
BESIDE = {"embed_dim", "n_embed", "resamp_with_conv", "norm_groups", "norm_eps"}
DD = VQGAN_CONFIG.model_dump(mode="json", exclude=BESIDE)


def published_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A GPT-NeoX's tensors by the names of published files: transformers has renamed the output layer since."""
    return {name.replace("lm_head.", "embed_out."): tensor for name, tensor in state.items()}


def write_llm(folder: Path) -> None:
    """Random weights of dolly-v2-3b's sizes with the image rows, in `.bin` shards written one at a time."""
    folder.mkdir(parents=True)
    filled_tokenizer().save(str(folder / "tokenizer.json"))
    config = llm_config(PUBLISHED)
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = published_names(AutoModelForCausalLM.from_config(config).state_dict())
    part: dict[str, torch.Tensor] = {}
    weight_map: dict[str, str] = {}
    held = number = 0

    def flush() -> None:
        nonlocal held, number
        name = f"pytorch_model-{number:05d}.bin"
        torch.save(part, folder / name)
        weight_map.update(dict.fromkeys(part, name))
        part.clear()
        held, number = 0, number + 1

    for name, like in shapes.items():
        shape = like.shape
        ones = name.endswith("norm.weight") or "layernorm.weight" in name
        part[name] = torch.ones(shape, dtype=torch.bfloat16) if ones else (0.02 * torch.randn(shape)).bfloat16()
        held += part[name].nbytes
        if held >= SHARD_BYTES:
            flush()
    flush()
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_vqgan(folder: Path) -> None:
    """A random VQ-GAN of the published sizes."""
    model = VQGAN(VQGAN_CONFIG)
    torch.save({"state_dict": model.state_dict()}, folder / "vqgan.ckpt")
    params = {"ddconfig": DD, "embed_dim": VQGAN_CONFIG.embed_dim, "n_embed": VQGAN_CONFIG.n_embed}
    content = {"model": {"target": "taming.models.vqgan.VQModel", "params": params}}
    (folder / "vqgan.yaml").write_text(yaml.safe_dump(content))
