"""Starts `cxr serve` on the embedded bundle as a process, to be talked to over real HTTP."""

import sys
from pathlib import Path

from benchmarks.service import Service as Running

__all__ = ["Running", "start"]

_START_SECONDS = 240.0


def start(folder: Path, seconds: float = _START_SECONDS, state: Path | None = None, **settings: str) -> Running:
    """Start `cxr serve` with its state, home and temporary files below `folder`; returns when it is ready."""
    command = (str(Path(sys.executable).with_name("cxr")), "serve")
    eager = {"CXR_ENGINE__ENFORCE_EAGER": "true"}
    service = Running(
        folder, program=command, state=state, settings={**eager, **settings}, alone=True, start_timeout=seconds
    )
    return service.__enter__()
