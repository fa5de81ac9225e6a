"""What compose makes at its first start, before anything else runs: API keys and passwords. `show` prints them.

Each of the others has a folder (a volume) of its own with what it needs, and sees no other. What is there stays: only
what is missing is made. Standard library alone, and `cxr`.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

FOLDERS = ("operator", "api", "orthanc", "prometheus", "grafana")
ORTHANC = "http://orthanc:8042/dicom-web"
SERVICE = "http://api:8080/dicom-web/"


def become(user: int, folders: list[Path]) -> None:
    """Go on as the user of the service. New volumes are root's."""
    for folder in folders:
        os.chown(folder, user, user)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class FirstStart:
    """The state folder, and the folders of what is made."""

    def __init__(self, state: Path, folder: Path) -> None:
        self._state, self._keys = state, state / "keys.json"
        self._making = self._keys
        self._key = folder / "operator" / "api-key"
        self._destinations = folder / "api" / "cxr.toml"
        self._orthanc = folder / "orthanc" / "orthanc.json"
        self._scraping = folder / "prometheus" / "key"
        self._grafana = folder / "grafana" / "password"

    def make(self) -> None:
        """What is missing. The file of keys comes last: without it all keys are made anew."""
        first = not self._keys.exists()
        if first:
            self._making = self._state / "keys.first.json"
            self._making.unlink(missing_ok=True)
            write(self._key, self._new_key("operator", "admin"), 0o400)
        if first or not self._scraping.exists():
            write(self._scraping, self._new_key("prometheus", "metrics"), 0o444)
        if first or not self._orthanc.exists() or not self._destinations.exists():
            self._make_orthanc()
        if not self._grafana.exists():
            write(self._grafana, secrets.token_urlsafe(24), 0o444)
        if first:
            self._making.replace(self._keys)
            self._making.with_suffix(".lock").unlink(missing_ok=True)
            print("API keys and passwords are made. They are shown by: docker compose run --rm init show")

    def show(self) -> None:
        """What a person needs of it."""
        try:
            users = json.loads(self._orthanc.read_text())["RegisteredUsers"]
            password = self._grafana.read_text()
        except FileNotFoundError:
            sys.exit("Nothing is made yet: docker compose up makes it.")
        key = self._key.read_text() if self._key.exists() else "(forgotten)"
        print(f"API      http://127.0.0.1:8080  key of scope admin: {key}")
        print(f"Orthanc  http://127.0.0.1:8042  operator / {users['operator']}")
        print(f"Grafana  http://127.0.0.1:3000  admin / {password}")
        print("Keys of other scopes: docker compose exec api cxr keys create NAME --scope infer")

    def forget(self) -> None:
        """Remove the key of scope admin from here, once somebody has it elsewhere. It stays valid."""
        self._key.unlink(missing_ok=True)

    def _make_orthanc(self) -> None:
        """Orthanc's users and its way to the service, and the service's way to Orthanc, which have to fit."""
        users = {name: secrets.token_urlsafe(24) for name in ("operator", "llm-cxr")}
        key = self._new_key("orthanc", "dicom:store")
        server = {"Url": SERVICE, "HasDelete": False, "HttpHeaders": {"Authorization": f"Bearer {key}"}}
        settings = {
            "AuthenticationEnabled": True,
            "RegisteredUsers": users,
            "DicomWeb": {"Servers": {"llmcxr": server}},
        }
        lines = ["[[destinations]]", 'name = "orthanc"', f'dicomweb_url = "{ORTHANC}"', 'username = "llm-cxr"']
        lines.append(f'password = "{users["llm-cxr"]}"')
        self._destinations.unlink(missing_ok=True)  # killed in between, both are made anew
        write(self._orthanc, json.dumps(settings, indent=1), 0o444)
        write(self._destinations, "\n".join(lines) + "\n", 0o400)

    def _new_key(self, name: str, scope: str) -> str:
        command = ["cxr", "keys", "create", name, "--scope", scope, "--keys-file", str(self._making)]
        command += ["--state-dir", str(self._state)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"`cxr keys create {name}` failed: there is no key, and nothing starts.")
        return done.stdout.strip()


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["make", "show", "forget"], default="make")
    parser.add_argument("--user", type=int, help="number of the user to go on as")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/cxr"))
    parser.add_argument("--folder", type=Path, default=Path("/secrets"))
    given = parser.parse_args()
    if given.user is not None:
        become(given.user, [given.folder / name for name in FOLDERS])
    first = FirstStart(given.state, given.folder)
    {"make": first.make, "show": first.show, "forget": first.forget}[given.what]()


if __name__ == "__main__":
    main()
