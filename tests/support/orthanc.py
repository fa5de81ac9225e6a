"""A real Orthanc for a test, which is skipped where there is none."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import orthanc as launcher
from benchmarks.orthanc import Orthanc, OrthancMissing
from benchmarks.ports import free_port

__all__ = ["Orthanc", "free_port", "orthanc"]


@contextlib.contextmanager
def orthanc(folder: Path, *, service_url: str = "", service_dimse: int = 0, port: int = 0) -> Iterator[Orthanc]:
    """As `benchmarks.orthanc.orthanc`. Skips where it is not installed."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(
                launcher.orthanc(folder, service_url=service_url, service_dimse=service_dimse, port=port)
            )
        except OrthancMissing as error:
            pytest.skip(str(error))
        yield running
