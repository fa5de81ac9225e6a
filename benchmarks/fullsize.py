"""Import and serve random weights of the published geometry: 2.8 B parameters in bf16, a VQ-GAN of 128 channels.

Prints the import's time and peak memory, the engine's time to load, and tokens a second, as JSON.
`python -m benchmarks.fullsize FOLDER`, with 20 GB of disk in FOLDER.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import torch
import yaml
from tokenizers import AddedToken
from transformers import AutoModelForCausalLM

from models.bundle.random import PRESETS, TEXT_SIZE, llm_config, vqgan_config
from models.vqgan import VQGAN
from tests.support.published import published_names
from tests.support.served import start
from tests.support.service import byte_tokenizer, encoded, gradient

SHARD_BYTES = 2 * 2**30
PUBLISHED = PRESETS["published"]
assert PUBLISHED.vqgan_channels is not None
VQGAN_CONFIG = vqgan_config(PUBLISHED.vqgan_channels)
# What taming's `ddconfig` holds; the rest of a configuration stands beside it, or is taming's own constant.
BESIDE = {"embed_dim", "n_embed", "resamp_with_conv", "norm_groups", "norm_eps"}
DD = VQGAN_CONFIG.model_dump(mode="json", exclude=BESIDE)


def write_llm(folder: Path) -> None:
    """Random weights of dolly-v2-3b's sizes with the image rows, in `.bin` shards written one at a time."""
    folder.mkdir(parents=True)
    tokenizer = byte_tokenizer()
    missing = TEXT_SIZE - tokenizer.get_vocab_size(with_added_tokens=True)
    tokenizer.add_tokens([AddedToken(f"filler{number}", normalized=False) for number in range(missing)])
    tokenizer.save(str(folder / "tokenizer.json"))
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


def measured_import(folder: Path) -> dict[str, float]:
    """Run `cxr import`; its seconds, and its peaks of private and of resident memory in GiB."""
    words = ["--llm", "llm", "--vqgan-config", "vqgan.yaml", "--vqgan-checkpoint", "vqgan.ckpt", "--out", "bundle"]
    started = time.monotonic()
    process = psutil.Popen([str(Path(sys.executable).with_name("cxr")), "import", *words], cwd=folder)
    private = resident = 0
    while process.poll() is None:
        try:
            memory = process.memory_info()
        except psutil.NoSuchProcess:
            break
        # Mapped pages of the source files are the system's cache: it takes them back when it needs them.
        private, resident = max(private, memory.rss - memory.shared), max(resident, memory.rss)
        time.sleep(0.05)
    if process.wait():
        raise SystemExit("the import failed")
    return {
        "import_seconds": round(time.monotonic() - started, 1),
        "import_private_gib": round(private / 2**30, 2),
        "import_resident_gib": round(resident / 2**30, 2),
        "model_gib": round(sum(f.stat().st_size for f in (folder / "bundle" / "llm").iterdir()) / 2**30, 2),
    }


def served(folder: Path) -> dict[str, float]:
    """Serve the bundle; seconds to ready, memory, and tokens a second of one text and one image."""
    started = time.monotonic()
    settings: dict[str, Any] = {
        "CXR_BUNDLE": str(folder / "bundle"),
        "CXR_ENGINE__MAX_MODEL_LEN": "1024",
        "CXR_ENGINE__DTYPE": "bfloat16",
    }
    service = start(folder / "run", seconds=1200, CXR_LIMITS__DEADLINE_SECONDS="1200", **settings)
    figures = {"ready_seconds": round(time.monotonic() - started, 1)}
    try:
        with httpx.Client(base_url=service.url, timeout=1200) as client:
            begun = time.monotonic()
            text = client.post("/v1/reports", files={"image": encoded(gradient())}, data={"max_tokens": "16"})
            text.raise_for_status()
            figures["report_seconds"] = round(time.monotonic() - begun, 1)
            begun = time.monotonic()
            drawn = client.post("/v1/images/generations", json={"prompt": "Normal.", "seed": 1})
            drawn.raise_for_status()
            figures["image_tokens_per_second"] = round(256 / (time.monotonic() - begun), 2)
        parent = psutil.Process(service.process.pid)
        everyone = [parent, *parent.children(recursive=True)]
        figures["serving_gib"] = round(sum(one.memory_info().rss for one in everyone) / 2**30, 2)
    finally:
        service.stop()
    return figures


def main() -> None:
    """Write, import, serve, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    if not (folder / "bundle").exists():
        write_llm(folder / "llm")
        write_vqgan(folder)
        figures = measured_import(folder)
    else:
        figures = {}
    print(json.dumps({**figures, **served(folder)}, indent=2))


if __name__ == "__main__":
    main()
