"""Small files of the published kind: a GPT-NeoX folder, a taming checkpoint and its configuration."""

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from tokenizers import Tokenizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from benchmarks.published import published_names
from models.importers import Source
from models.vqgan import VQGAN, VQGANConfig
from tests.support.service import byte_tokenizer

DD: dict[str, Any] = {
    "double_z": False,
    "z_channels": 32,
    "resolution": 64,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [16],
    "dropout": 0.0,
}
EMBED = {"embed_dim": 32, "n_embed": 64}


def write_vqgan(folder: Path, codes: int = 64, **changes: Any) -> VQGAN:
    """`vqgan.yaml` and `vqgan.ckpt` as taming writes them, Lightning's keys and training losses included."""
    torch.manual_seed(0)
    model = VQGAN(VQGANConfig(**{**DD, **EMBED, "n_embed": codes})).eval()
    params: dict[str, Any] = {"ddconfig": DD, **EMBED, "n_embed": codes, "lossconfig": {"target": "x"}, **changes}
    content = {"model": {"target": "taming.models.vqgan.VQModel", "base_learning_rate": 4.5e-6, "params": params}}
    (folder / "vqgan.yaml").write_text(yaml.safe_dump(content))
    state = {**model.state_dict(), "loss.discriminator.main.0.weight": torch.zeros(3)}
    torch.save({"state_dict": state, "epoch": 1, "global_step": 2}, folder / "vqgan.ckpt")
    return model


def write_llm(
    folder: Path, *, shards: int = 2, width: int = 64, tokenizer: Tokenizer | None = None, codes: int = 64
) -> GPTNeoXForCausalLM:
    """A GPT-NeoX folder of `.bin` shards with an index, a tokenizer, and what training leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer or byte_tokenizer()
    rows = tokenizer.get_vocab_size(with_added_tokens=True) + codes
    torch.manual_seed(1)
    config = GPTNeoXConfig(
        vocab_size=rows,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=max(1, width // 64),
        intermediate_size=2 * width,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        architectures=["GPTNeoXForCausalLM"],
    )
    model = GPTNeoXForCausalLM(config).eval()
    config.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    state = {**published_names(model.state_dict()), "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9)}
    names = sorted(state)
    weight_map = {}
    for number in range(shards):
        name = f"pytorch_model-{number + 1:05d}-of-{shards:05d}.bin"
        part = {key: state[key].clone() for key in names[number::shards]}
        torch.save(part, folder / name)
        weight_map.update(dict.fromkeys(part, name))
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "global_step85000").mkdir(exist_ok=True)
    (folder / "training_args.bin").write_bytes(b"not read")
    return model


def source_in(folder: Path) -> Source:
    """The files of `write_vqgan` and `write_llm` in `folder`."""
    return Source(folder / "llm", folder / "vqgan.yaml", folder / "vqgan.ckpt", licence="CC0-1.0")
