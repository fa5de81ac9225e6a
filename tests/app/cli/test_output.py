"""What commands print: standard output has what was asked for, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from app.security.keys import Keys


def test_a_key_stands_alone_on_standard_output_whatever_is_logged(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)  # which is logged
    command = [sys.executable, "-m", "app.cli", "keys", "create", "a", "--scope", "infer"]
    environment = {**os.environ, "CXR_STATE_DIR": str(state)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "open to other users" in run.stderr
    assert Keys(state / "keys.json").find(run.stdout.strip()) is not None
