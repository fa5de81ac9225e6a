"""Validators of others, run on what we write."""

import shutil
import subprocess
from pathlib import Path

import pytest

# Younger than the validator's dictionary (2022): Synthetic Data (0008,001C) came with CP-2305.
_YOUNGER = "(0x0008,0x001c)"


def dciodvfy_errors(path: Path) -> list[str]:
    """What dicom3tools' dciodvfy calls an error. Skips where it is not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dicom3tools is not installed (make peers)")
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (found.stdout + found.stderr).splitlines()
    return [line for line in lines if line.startswith("Error") and _YOUNGER not in line]
