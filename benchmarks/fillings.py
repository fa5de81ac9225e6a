"""What shall stand where an unfinished drawing has no codes yet: candidates measured against the finished drawing.

Draws 20 prompts on the embedded bundle, decodes each after 4, 8 and 12 of its 16 rows with every filling, and compares
with the finished image: SSIM and mean absolute difference, over the whole image and over what is drawn already, since
the decoder's view reaches across the border. `python -m benchmarks.fillings [--out docs/benchmarks]`
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from app.codec import Codec
from app.codec.worker import VqganCodec
from app.engine.vllm import VllmEngine
from app.imaging import InlineReader
from app.inference.backend import Backend
from app.inference.generation import Options
from app.inference.partials import fade, fill
from app.inference.pipelines import draw
from app.screening.fake import FakeScreen
from app.settings import CodecSettings, EngineSettings, ImagingSettings, Settings
from app.telemetry.timings import Timings
from benchmarks.machine import machine
from models import bundle as bundles

KINDS = ("Normal chest radiograph.", "Bacterial pneumonia.", "Viral pneumonia.", "Clear lungs.")
VIEWS = ("AP chest radiograph of a child.", "PA chest radiograph of an adult.", "Chest radiograph.", "AP view.", "")
PROMPTS = [f"{view} {kind}".strip() for view in VIEWS for kind in KINDS]
LOOKS = (4, 8, 12)
Filling = Callable[[Sequence[int], int, int], list[int]]


def flat(code: int) -> Filling:
    """One code everywhere."""
    return lambda codes, rows, columns: [*codes, *[code] * (rows * columns - len(codes))]


def mirrored(codes: Sequence[int], rows: int, columns: int) -> list[int]:
    """The finished rows, mirrored repeatedly."""
    table = np.array(codes).reshape(-1, columns)
    while len(table) < rows:
        table = np.concatenate([table, table[::-1]])
    return table[:rows].ravel().tolist()


def likeness(image: np.ndarray, finished: np.ndarray) -> tuple[float, float]:
    """SSIM, and the mean absolute difference in grey levels."""
    one, other = (torch.from_numpy(pixels.astype(np.float32))[None, None] for pixels in (image, finished))
    ssim = structural_similarity_index_measure(one, other, data_range=255.0)
    return float(ssim), float((one - other).abs().mean())


async def _flat_codes(codec: Codec, size: int) -> dict[str, int]:
    found = {}
    for name, level in (("black", 0), ("grey", 128)):
        codes = await codec.encode(np.full((size, size), level, np.uint8))
        found[name] = max(set(codes), key=codes.count)
    return found


async def measured(settings: Settings) -> dict[str, dict[str, list[float]]]:
    """By filling: means over the prompts, one a look."""
    loaded = bundles.load(settings.bundle)
    engine = VllmEngine(loaded, EngineSettings(enforce_eager=True), settings.state_dir)
    codec = VqganCodec(loaded, CodecSettings())
    size, (rows, columns) = loaded.manifest.image.size, loaded.manifest.image.grid
    backend = Backend(loaded, InlineReader(ImagingSettings(), size), codec, engine, FakeScreen())
    await codec.start()
    await engine.start()
    try:
        drawn = await asyncio.gather(
            *(draw(backend, prompt, Options(seed=seed), Timings()) for seed, prompt in enumerate(PROMPTS))
        )
        codes = await _flat_codes(codec, size)
        fillings: dict[str, Filling] = {
            "last row repeated": fill,
            "mirrored": mirrored,
            **{f"flat {name}": flat(code) for name, code in codes.items()},
        }
        found: dict[str, dict[str, list[float]]] = {}
        for name, filling in fillings.items():
            rowed = []
            for done in LOOKS:
                border = size * done // rows
                figures = []
                for (drawing,) in drawn:
                    pixels = await codec.decode(filling(drawing.codes[: done * columns], rows, columns))
                    plain, _ = likeness(pixels, drawing.pixels)
                    shown, _ = likeness(fade(pixels, done, rows), drawing.pixels)
                    _, above = likeness(pixels[:border], drawing.pixels[:border])
                    figures.append((plain, shown, above))
                rowed.append(np.mean(figures, axis=0))
            for column, what in enumerate(("ssim", "ssim_faded", "difference_of_what_is_drawn")):
                found.setdefault(name, {})[what] = [round(float(row[column]), 3) for row in rowed]
        return found
    finally:
        await engine.close()
        await codec.close()


def render(found: dict[str, dict[str, list[float]]]) -> str:
    """As Markdown."""
    lines = [
        "# Fillings of unfinished drawings",
        "",
        f"`python -m benchmarks.fillings` on {machine()}, embedded bundle, {len(PROMPTS)} prompts; means after "
        f"{LOOKS[0]}, {LOOKS[1]} and {LOOKS[2]} of 16 rows, against the finished drawing. The last column is the mean "
        "absolute difference, in grey levels, of the part that is drawn already.",
        "",
        "| filling | SSIM | SSIM as shown (darkened) | difference of the drawn part |",
        "|---|---|---|---|",
    ]
    for name, figures in found.items():
        cells = (" / ".join(f"{value:g}" for value in values) for values in figures.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    out: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(Settings(state_dir=Path(folder))))
    out.mkdir(parents=True, exist_ok=True)
    (out / "fillings.json").write_text(json.dumps({"machine": machine(), "fillings": found}, indent=1) + "\n")
    (out / "fillings.md").write_text(render(found))
    print(render(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
