"""What vLLM is told. Imports vLLM, but starts no engine."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.settings import EngineSettings

pytestmark = pytest.mark.engine
vllm = pytest.importorskip("app.engine.vllm_arguments", reason="vLLM is not installed", exc_type=ImportError)


@pytest.mark.parametrize(
    ("config", "asked", "expected"),
    [
        ({"dtype": "float32"}, "auto", "float32"),
        ({"torch_dtype": "bfloat16"}, "auto", "bfloat16"),
        ({}, "auto", "auto"),
        ({"dtype": "float32"}, "bfloat16", "bfloat16"),
    ],
)
def test_a_cpu_computes_in_the_models_own_type_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, str], asked: str, expected: str
) -> None:
    monkeypatch.setattr(vllm, "current_platform", SimpleNamespace(is_cpu=lambda: True))
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert vllm._dtype(SimpleNamespace(llm=tmp_path), EngineSettings(dtype=asked)) == expected


def test_another_device_is_left_to_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "current_platform", SimpleNamespace(is_cpu=lambda: False))
    assert vllm._dtype(SimpleNamespace(llm=tmp_path), EngineSettings()) == "auto"
