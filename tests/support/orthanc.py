"""A real Orthanc for a test, which is skipped where there is none."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import orthanc as launcher
from benchmarks.orthanc import Orthanc, OrthancMissing
from benchmarks.ports import free_port

__all__ = ["Orthanc", "free_port", "orthanc"]


@contextlib.contextmanager
def orthanc(folder: Path, **given: Any) -> Iterator[Orthanc]:
    """As `benchmarks.orthanc.orthanc`. Skips where it is not installed."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(launcher.orthanc(folder, **given))
        except OrthancMissing as error:
            pytest.skip(str(error))
        yield running
