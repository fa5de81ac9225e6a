"""The first start of compose, in folders of a test instead of volumes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.service import ROOT

SCRIPT = ROOT / "deploy" / "compose" / "first_start.py"
FOLDERS = ("operator", "api", "orthanc", "prometheus", "grafana")


class Volumes:
    """What the service `init` mounts."""

    def __init__(self, folder: Path) -> None:
        self.state, self.secrets = folder / "state", folder / "secrets"
        for path in (self.state, *(self.secrets / name for name in FOLDERS)):
            path.mkdir(parents=True)
            path.chmod(0o755)  # as those of a new volume are

    def start(self, what: str = "make", status: int = 0) -> str:
        command = [sys.executable, str(SCRIPT), what, "--state", str(self.state), "--folder", str(self.secrets)]
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def read(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def files(self) -> dict[str, tuple[int, bytes]]:
        found = [path for path in self.secrets.rglob("*") if path.is_file()]
        return {str(one.relative_to(self.secrets)): (one.stat().st_mode & 0o777, one.read_bytes()) for one in found}
