"""A start in its parts, the memory that each part holds, and the floor under a drawing."""

import datetime
import json
import time

import torch

from benchmarks.measure import Result, Spread
from benchmarks.suite import Suite

_EVENTS = {
    "codec ready": "codec loaded",
    "engine environment": "server imported",
    "engine warm": "engine warm",
    "engine ready": "engine loaded",
}
_COPIED_BYTES = 1 << 29


async def startup(suite: Suite) -> Result:
    """Seconds until each part of a start is over, and private memory by process once it serves."""
    service = suite.new_service("startup")
    began = time.time()
    with service:
        figures: dict[str, object] = {"seconds_until": {}, "ready_seconds": round(service.start_seconds, 1)}
        until = {}
        for line in service.log.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
                part = _EVENTS[entry["event"]]
            except (ValueError, KeyError, TypeError):
                continue
            at = datetime.datetime.fromisoformat(entry["timestamp"]).timestamp()
            until[part] = round(at - began, 1)
        figures["seconds_until"] = until
        figures["private_mb"] = service.private_mb()
    return Result("startup", "A start in its parts", figures, note="With compiled kernels from an earlier start.")


async def floor(suite: Suite) -> Result:
    """Memory bandwidth as a copy shows it, and what a drawing takes at least: its weights are read once a token."""
    device = torch.device(suite.device)
    source = torch.ones(_COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    rates = []
    for _ in range(suite.rounds + 3):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize()
        rates.append(2 * _COPIED_BYTES / (time.perf_counter() - started))
    # The input embedding is looked up, not read whole.
    rows, width = _embedding(suite)
    weights = sum(file.stat().st_size for file in suite.bundle.llm.glob("*.safetensors"))
    bandwidth = Spread.from_values(rates[1:])
    seconds = suite.bundle.image_tokens * (weights - rows * width) / bandwidth.median
    return Result(
        "floor",
        "The floor under a drawing",
        {
            "bandwidth_gb_per_second": {
                name: round(value / 1e9, 2) for name, value in vars(bandwidth).items() if name != "count"
            },
            "weights_gb": round(weights / 1e9, 3),
            "floor_seconds_per_drawing": round(seconds, 3),
        },
        note=f"{suite.bundle.image_tokens} tokens, each of which reads every weight but the input embedding once.",
    )


def _embedding(suite: Suite) -> tuple[int, int]:
    """Rows of the vocabulary, and bytes of one."""
    config = json.loads((suite.bundle.llm / "config.json").read_text())
    bytes_each = 2 if config.get("dtype", config.get("torch_dtype")) in ("bfloat16", "float16") else 4
    return suite.bundle.vocabulary.size, int(config["hidden_size"]) * bytes_each
