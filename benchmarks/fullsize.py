"""Import and serve random weights of the published geometry: 2.8 B parameters in bf16, a VQ-GAN of 128 channels.

Prints the import's time and peak memory, the engine's time to load, and tokens a second, as JSON.
`python -m benchmarks.fullsize FOLDER`, with 20 GB of disk in FOLDER.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import httpx
import psutil

from app.dicom.sample import sample_dicom
from benchmarks.contenders.process import ended_with_us
from benchmarks.published import write_llm, write_vqgan
from benchmarks.service import Service


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
    settings = {
        "CXR_ENGINE__ENFORCE_EAGER": "true",
        "CXR_LIMITS__DEADLINE_SECONDS": "1200",
        "CXR_ENGINE__MAX_MODEL_LEN": "1024",
        "CXR_ENGINE__DTYPE": "bfloat16",
    }
    figures: dict[str, float] = {}
    with (
        ended_with_us(),
        Service(folder / "run", bundle=folder / "bundle", settings=settings, start_timeout=1200) as service,
    ):
        figures["ready_seconds"] = round(time.monotonic() - started, 1)
        with httpx.Client(base_url=service.url, timeout=1200) as client:
            begun = time.monotonic()
            text = client.post("/v1/reports", files={"image": sample_dicom()}, data={"max_tokens": "16"})
            text.raise_for_status()
            figures["report_seconds"] = round(time.monotonic() - begun, 1)
            begun = time.monotonic()
            drawn = client.post("/v1/images/generations", json={"prompt": "Normal.", "seed": 1})
            drawn.raise_for_status()
            figures["image_tokens_per_second"] = round(256 / (time.monotonic() - begun), 2)
        held = sum(process.memory_info().rss for process in service.processes())
        figures["serving_gib"] = round(held / 2**30, 2)
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
