"""What compose makes at its first start, and that each of its services gets what was made for it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import load_settings
from tests.support.compose import FOLDERS, SCRIPT, Volumes
from tests.support.service import ROOT

FILES = {
    "operator/api-key": 0o400,
    "api/cxr.toml": 0o400,
    "orthanc/orthanc.json": 0o444,
    "prometheus/key": 0o444,
    "grafana/password": 0o444,
}


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path)


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def scopes(volumes: Volumes, token: str) -> set[Scope]:
    identity = Keys(volumes.state / "keys.json").find(token)
    assert identity is not None
    return set(identity.scopes)


def orthancs_key(volumes: Volumes) -> str:
    servers = json.loads(volumes.read("orthanc/orthanc.json"))["DicomWeb"]["Servers"]
    return str(servers["llmcxr"]["HttpHeaders"]["Authorization"]).removeprefix("Bearer ")


def test_the_first_start_makes_keys_and_passwords_and_the_second_leaves_them(volumes: Volumes) -> None:
    assert "docker compose run --rm init show" in volumes.start()
    made = volumes.files()
    assert {name: mode for name, (mode, _) in made.items()} == FILES
    assert scopes(volumes, volumes.read("operator/api-key")) == {Scope.ADMIN}
    assert scopes(volumes, volumes.read("prometheus/key")) == {Scope.METRICS}
    assert scopes(volumes, orthancs_key(volumes)) == {Scope.DICOM_STORE}
    users = json.loads(volumes.read("orthanc/orthanc.json"))["RegisteredUsers"]
    (destination,) = load_settings(volumes.secrets / "api" / "cxr.toml").destinations
    assert destination.username is not None
    assert destination.password is not None
    assert users[destination.username] == destination.password.get_secret_value()
    assert all(len(word) >= 32 for word in (*users.values(), volumes.read("grafana/password")))
    said = volumes.start("show")
    for word in (volumes.read("operator/api-key"), users["operator"], volumes.read("grafana/password")):
        assert word in said
    assert volumes.start() == ""
    assert volumes.files() == made
    assert {path.name for path in volumes.state.iterdir()} == {"keys.json", "audit", "secret"}


def test_what_is_lost_is_made_anew_and_a_key_that_was_forgotten_is_not(volumes: Volumes) -> None:
    assert "Nothing is made yet" in volumes.start("show", status=1)
    volumes.start()
    made = volumes.files()
    key = volumes.read("operator/api-key")
    volumes.start("forget")
    assert scopes(volumes, key) == {Scope.ADMIN}
    for name in ("prometheus/key", "api/cxr.toml"):
        (volumes.secrets / name).unlink()
    volumes.start()
    again = volumes.files()
    assert made.keys() - again.keys() == {"operator/api-key"}
    assert "(forgotten)" in volumes.start("show")
    assert again["grafana/password"] == made["grafana/password"]
    assert again["orthanc/orthanc.json"] != made["orthanc/orthanc.json"]
    assert scopes(volumes, volumes.read("prometheus/key")) == {Scope.METRICS}


def test_a_first_start_that_was_cut_off_begins_anew(volumes: Volumes) -> None:
    volumes.start()
    old = volumes.files()
    (volumes.state / "keys.json").rename(volumes.state / "keys.first.json")
    volumes.start()
    assert volumes.files()["operator/api-key"] != old["operator/api-key"]
    assert len(Keys(volumes.state / "keys.json").list()) == 3


def test_where_no_key_can_be_made_compose_does_not_start(volumes: Volumes) -> None:
    (volumes.state / "keys.first.lock").mkdir()
    assert "there is no key, and nothing starts" in volumes.start(status=1)
    assert not (volumes.state / "keys.json").exists()


def test_every_service_waits_for_the_first_start_and_mounts_its_own_secrets_alone() -> None:
    found = services()
    init = found.pop("init")
    mounts = dict(volume.split(":")[:2] for volume in init["volumes"])
    assert mounts.pop(f"./{SCRIPT.relative_to(ROOT)}") == init["entrypoint"][1]
    assert mounts.pop("state") == "/var/lib/cxr"
    assert mounts == {f"{name}-secrets": f"/secrets/{name}" for name in FOLDERS}
    for name, service in found.items():
        assert service["depends_on"]["init"]["condition"] == "service_completed_successfully"
        (mounted,) = (volume for volume in service["volumes"] if "-secrets:" in volume)
        assert mounted.startswith(f"{name}-secrets:")
        assert mounted.endswith(":ro")
    assert found.keys() == set(FOLDERS) - {"operator"}


def test_every_service_looks_where_its_secrets_are() -> None:
    found = services()
    where = {
        name: Path(volume.split(":")[1])
        for name, service in found.items()
        for volume in service["volumes"]
        if volume.startswith(f"{name}-secrets:")
    }
    assert found["api"]["command"] == ["serve", "--config", str(where["api"] / "cxr.toml")]
    assert found["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == str(where["grafana"] / "password")
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["authorization"] == {"credentials_file": str(where["prometheus"] / "key")}
    assert str(where["orthanc"]) == "/run/secrets"  # from there its image takes up every *.json


def test_no_file_of_compose_holds_a_password_or_opens_the_service() -> None:
    files = [*ROOT.glob("docker-compose*.yml"), *(ROOT / "deploy").rglob("*.yml"), *(ROOT / "deploy").rglob("*.json")]
    assert len(files) > 5
    for file in files:
        text = file.read_text()
        assert "AUTH__MODE" not in text, file
        assert not re.search(r"(?i)passw(or)?d\"?\s*[:=]\s*[\"']?\w", text), file
        assert not re.search(r"demo/demo|admin/admin|REGISTERED_USERS", text), file
