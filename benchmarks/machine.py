"""The machine that a figure was measured on, in one line."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Processor, cores, memory, accelerator, Python."""
    import torch

    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cpu = f"{names[0] if names else platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB{gpu}, Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
