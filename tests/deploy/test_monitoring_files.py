"""Alerts and the dashboard name metrics that exist."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from app.telemetry import metrics
from tests.support.service import ROOT, Service, encoded, gradient

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
_NAME = re.compile(r"\b(?:cxr_|vllm:)[a-z0-9_]+")


def _exported(registry: CollectorRegistry) -> set[str]:
    """Every name of a sample that our metrics have."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {
        family.name + suffix
        for family in registry.collect()
        if family.name.startswith("cxr_")
        for suffix in suffixes[family.type]
    }


def _of_vllm() -> set[str]:
    """Names that the installed vLLM declares, found without importing it."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("vLLM is not installed")
    text = "".join(path.read_text() for path in Path(spec.submodule_search_locations[0]).glob("v1/metrics/*.py"))
    names = set(re.findall(r"vllm:[a-z0-9_]+", text))
    return names | {f"{name}{suffix}" for name in names for suffix in ("_total", "_bucket", "_sum", "_count")}


def _named_in(text: str) -> set[str]:
    return set(_NAME.findall(text))


def test_alerts_name_metrics_that_exist() -> None:
    named = _named_in((PROMETHEUS / "alerts.yml").read_text())
    assert named
    assert named <= _exported(REGISTRY)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_the_dashboard_names_metrics_that_exist_and_shows_every_one_of_ours(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    named = {name for panel in panels for target in panel.get("targets", ()) for name in _named_in(target["expr"])}
    assert named <= _exported(REGISTRY) | _of_vllm()
    shown = {re.sub("_(bucket|sum|count|total)$", "", name) for name in named}
    left_out = {"cxr_bundle_info", "cxr_start_time_seconds", "cxr_audit_failures"}  # facts and an alert
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("cxr_")}
    assert ours - shown == left_out


def test_no_metric_has_a_label_that_prometheus_sets_itself() -> None:
    labels = {label for metric in vars(metrics).values() for label in getattr(metric, "_labelnames", ())}
    assert "task" in labels
    assert not labels & {"job", "instance"}


def test_dashboard_panels_do_not_overlap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: make peers")


@needs_promtool
@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_accepts_the_configuration_and_the_rules_pass_their_tests(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    for path in PROMETHEUS.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "key").touch()  # it looks for the file of the key
    config = tmp_path / "prometheus.yml"
    config.write_text(config.read_text().replace("/etc/cxr/key", str(tmp_path / "key")))
    done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
async def test_promtool_finds_nothing_to_say_about_our_metrics(service: Service) -> None:
    await service.client.post("/v1/reports", files={"image": encoded(gradient())})
    text = (await service.client.get("/metrics")).text
    ours = [line for line in text.splitlines() if re.match(r"(# (HELP|TYPE) )?cxr_", line) and "_created" not in line]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input="\n".join(ours) + "\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
