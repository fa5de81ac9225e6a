"""Container and cluster files are well formed. No engine runs here: images are not built."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.service import ROOT

BIN = Path(sys.executable).parent
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def documents() -> list[dict[str, Any]]:
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    run(str(BIN / "hadolint"), "Dockerfile")


def test_the_last_stages_run_as_a_plain_user_without_what_builds_packages() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for stage in ("gpu", "cpu"):
        last = text.split(f" AS {stage}\n")[1].split("\nFROM ")[0]
        assert last.rstrip().endswith("USER 10001:10001")
        assert "pip" not in last
    assert all(":latest" not in line and ":" in line for line in text.splitlines() if line.startswith("FROM python"))


def test_the_compose_file_fits_its_schema_and_publishes_on_loopback_only() -> None:
    run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert "build" in service or not service["image"].endswith((":latest", "orthanc")), name
    for volume in (*services["grafana"]["volumes"], *services["prometheus"]["volumes"]):
        source = volume.split(":")[0]
        assert not source.startswith(".") or (ROOT / source).exists(), source


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_manifests_fit_their_schemas(path: Path) -> None:
    run(str(BIN / "kubernetes-validate"), "--strict", "-k", "1.31", str(path))


def test_kubernetes_manifests_fit_each_other_and_the_service() -> None:
    found = {(document["kind"], document["metadata"]["name"]): document for document in documents()}
    pod = found["Deployment", "llm-cxr"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for kind, path in (("Service", ("selector",)), ("PodDisruptionBudget", ("selector", "matchLabels"))):
        value = found[kind, "llm-cxr"]["spec"]
        for key in path:
            value = value[key]
        assert value == labels
    container = pod["spec"]["containers"][0]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    stop = float(environment["CXR_DRAIN__GRACE_SECONDS"]) + float(environment["CXR_DRAIN__LIMIT_SECONDS"])
    assert pod["spec"]["terminationGracePeriodSeconds"] > stop
    for volume in pod["spec"]["volumes"]:
        if "persistentVolumeClaim" in volume:
            assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in found
        if "secret" in volume:
            assert ("Secret", volume["secret"]["secretName"]) in found
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["spec"]["volumes"]}
    metric = found["HorizontalPodAutoscaler", "llm-cxr"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert metric == "cxr_http_requests_in_flight"
