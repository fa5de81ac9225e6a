"""Bundles of random weights over the real vocabulary: the published model's geometry at several sizes.

A random model is as fast as a trained one of the same geometry, and speed is all that benchmarks of the service need.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GPTNeoXConfig

from models.bundle.manifest import LLM_FOLDER, VQGAN_FOLDER, DecodingDefaults, DrawDecoding
from models.bundle.shapes import shapes_of
from models.bundle.writer import DISCLAIMER, TOKENIZER_FILE, BundleWriter
from models.bundles import DEMO_BUNDLE
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN, VQGANConfig

# LLM-CXR's joint vocabulary: dolly-v2-3b's tokenizer and the codebook (Lee et al. 2024).
TEXT_SIZE = 50281
CODES = 1024

_SHARD_BYTES = 256 * 2**20
_STANDARD_DEVIATION = 0.02
_DRAW = DrawDecoding(temperature=1.0, top_p=0.92, max_tokens=256)
_CARD = """# Model card: {name}

Random weights: a GPT-NeoX of {hidden} x {layers} layers, {heads} heads, in {dtype}, seed {seed}. What it writes and
draws is noise; it exists to be measured. Image tokenizer: {vqgan}.

{disclaimer}
"""


@dataclass(frozen=True)
class Geometry:
    """Sizes of a GPT-NeoX and of the VQ-GAN beside it.

    `intermediate` None is four times `hidden`; `context` is in tokens; `vqgan_channels` None takes the embedded
    bundle's VQ-GAN, a number is the `ch` of a random one of the published architecture (a multiple of 32).
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int | None = None
    context: int = 2048
    vqgan_channels: int | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"


PRESETS = {
    "small": Geometry(hidden=64, layers=2, heads=2),
    "78m": Geometry(hidden=512, layers=8, heads=8),
    # dolly-v2-3b and taming's f16-1024 VQ-GAN, which LLM-CXR is made of.
    "published": Geometry(hidden=2560, layers=32, heads=32, intermediate=10240, vqgan_channels=128, dtype="bfloat16"),
}


def llm_config(geometry: Geometry) -> GPTNeoXConfig:
    """The language model's configuration: rotary share, layout and untied embeddings of dolly-v2-3b."""
    return GPTNeoXConfig(
        vocab_size=TEXT_SIZE + CODES,
        hidden_size=geometry.hidden,
        num_hidden_layers=geometry.layers,
        num_attention_heads=geometry.heads,
        intermediate_size=geometry.intermediate or 4 * geometry.hidden,
        max_position_embeddings=geometry.context,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
        use_parallel_residual=True,
        tie_word_embeddings=False,
        dtype=geometry.dtype,
        architectures=["GPTNeoXForCausalLM"],
    )


def vqgan_config(channels: int) -> VQGANConfig:
    """The image tokenizer's: taming's f16-1024 with `ch` channels. Raises ValidationError where no 32 groups fit."""
    return VQGANConfig(
        resolution=256,
        in_channels=3,
        out_ch=3,
        ch=channels,
        ch_mult=(1, 1, 2, 2, 4),
        num_res_blocks=2,
        attn_resolutions=(16,),
        z_channels=256,
        embed_dim=256,
        n_embed=CODES,
    )


def make_bundle(
    out: Path,
    geometry: Geometry,
    *,
    seed: int = 0,
    name: str = "llm-cxr-random",
    shard_bytes: int = _SHARD_BYTES,
) -> Path:
    """Write the bundle `out`, the same one for the same arguments, in shards of `shard_bytes`; returns its folder.

    It appears whole or not at all. Raises FileExistsError where there is something already.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists already")
    writer = BundleWriter(out)
    vocabulary = Vocabulary.from_tokenizer(filled_tokenizer(), TEXT_SIZE, TEXT_SIZE, CODES)
    writer.tokenizer(vocabulary.tokenizer)
    _write_llm(writer, geometry, vocabulary, seed, shard_bytes)
    _write_vqgan(writer.vqgan_folder, geometry.vqgan_channels, seed)
    own = geometry.vqgan_channels is not None
    vqgan = f"random, {geometry.vqgan_channels} channels" if own else "the embedded bundle's"
    sizes = {"hidden": geometry.hidden, "layers": geometry.layers, "heads": geometry.heads, "dtype": geometry.dtype}
    writer.publish(
        name=name,
        version="1",
        intended_use="Benchmarks; the weights are random. Not for clinical use.",
        licence="Apache-2.0" if own else "Apache-2.0; VQ-GAN: CC-BY-4.0",
        vocabulary=vocabulary,
        decoding=DecodingDefaults(draw=_DRAW),
        card=_CARD.format(name=name, seed=seed, vqgan=vqgan, disclaimer=DISCLAIMER, **sizes),
    )
    return out


def filled_tokenizer(size: int = TEXT_SIZE) -> Tokenizer:
    """The embedded bundle's tokenizer with unused entries up to `size`, which no merge produces."""
    content = json.loads((DEMO_BUNDLE / LLM_FOLDER / TOKENIZER_FILE).read_text())
    entries = content["model"]["vocab"]
    for number in range(len(entries), size):
        entries[f"<unused-{number}>"] = number
    return Tokenizer.from_str(json.dumps(content))


def _write_llm(writer: BundleWriter, geometry: Geometry, vocabulary: Vocabulary, seed: int, shard_bytes: int) -> None:
    config = llm_config(geometry)
    config.bos_token_id = config.pad_token_id = vocabulary.padding
    config.eos_token_id = vocabulary.end
    writer.llm_config(config)
    weight_map: dict[str, str] = {}
    total = 0
    for number, shard in enumerate(_shards(config, getattr(torch, geometry.dtype), seed, shard_bytes)):
        file = f"model-{number:05d}.safetensors"
        writer.weights(file, shard)
        weight_map.update(dict.fromkeys(shard, file))
        total += sum(tensor.nbytes for tensor in shard.values())
    writer.weight_index(weight_map, total)


def _shards(config: GPTNeoXConfig, dtype: torch.dtype, seed: int, shard_bytes: int) -> Iterator[dict[str, Tensor]]:
    """Random weights, one shard in memory at a time: norms are ones, biases zeros, the rest as GPT-NeoX begins."""
    generator = torch.Generator().manual_seed(seed)
    shard: dict[str, Tensor] = {}
    held = 0
    for name, shape in shapes_of(config).wanted.items():
        if name.endswith(("norm.weight", ".bias")):
            tensor = torch.full(shape, float(name.endswith(".weight")), dtype=dtype)
        else:
            tensor = torch.empty(shape, dtype=dtype).normal_(0.0, _STANDARD_DEVIATION, generator=generator)
        if shard and held + tensor.nbytes > shard_bytes:
            yield shard
            shard, held = {}, 0
        shard[name] = tensor
        held += tensor.nbytes
    yield shard


def _write_vqgan(folder: Path, channels: int | None, seed: int) -> None:
    if channels is None:
        shutil.copytree(DEMO_BUNDLE / VQGAN_FOLDER, folder)
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        VQGAN(vqgan_config(channels)).save(folder)
