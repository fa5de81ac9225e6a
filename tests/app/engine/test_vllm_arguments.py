"""What vLLM is told. Imports vLLM, but starts no engine."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.engine import Kind, Sampling
from app.engine.rows import PairRow
from app.settings import EngineSettings
from models.bundle import load
from tests.support.service import ROOT

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


def test_a_cpu_gets_the_scheduler_of_pairs_and_the_mask_that_draws() -> None:
    from vllm.utils.import_utils import resolve_obj_by_qualname

    arguments = vllm.engine_arguments(load(ROOT / "models" / "bundles" / "demo"), EngineSettings(enforce_eager=True))
    assert arguments.logits_processors == ["app.engine.masking:TextImageMaskV1"]
    assert resolve_obj_by_qualname(arguments.scheduler_cls).__name__ == "PairScheduler"


@pytest.mark.parametrize("cpu", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_row_of_a_guided_drawing_is_drawn_by_us_on_every_device(
    monkeypatch: pytest.MonkeyPatch, cpu: bool, temperature: float
) -> None:
    monkeypatch.setattr(vllm, "current_platform", SimpleNamespace(is_cpu=lambda: cpu))
    vocabulary = load(ROOT / "models" / "bundles" / "demo").vocabulary
    row = PairRow("a", True, 2.0)
    found = vllm.sampling_parameters(Kind.IMAGE, Sampling(temperature, 0.9, 256, 7), vocabulary, row)
    # vLLM takes the one id that is left, and has no generator to rewind.
    assert (found.temperature, found.seed) == (0.0, None)
    assert found.extra_args["cxr_guidance"] == {"pair": "a", "role": "conditional", "scale": 2.0}
    assert ("cxr_draw" in found.extra_args) == (temperature > 0.0)
    plain = vllm.sampling_parameters(Kind.IMAGE, Sampling(temperature, 0.9, 256, 7), vocabulary)
    assert "cxr_guidance" not in plain.extra_args
    assert plain.temperature == (0.0 if cpu else temperature)


@pytest.mark.parametrize("scored", [(), (5, 9)])
def test_only_the_ids_that_are_scored_are_asked_for_and_the_prefix_cache_is_read(scored: tuple[int, ...]) -> None:
    vocabulary = load(ROOT / "models" / "bundles" / "demo").vocabulary
    found = vllm.sampling_parameters(Kind.TEXT, Sampling(0.9, 0.9, 8, 7), vocabulary, scored=scored)
    assert found.logprob_token_ids == (list(scored) or None)
    assert found.num_logprobs == (len(scored) or None)
    assert not found.skip_reading_prefix_cache


@pytest.mark.parametrize(("kind", "interval"), [(Kind.IMAGE, 16), (Kind.TEXT, None), (Kind.ANY, None)])
def test_ids_of_an_image_come_by_the_row(kind: Kind, interval: int | None) -> None:
    vocabulary = load(ROOT / "models" / "bundles" / "demo").vocabulary
    found = vllm.sampling_parameters(kind, Sampling(0.9, 0.9, 8, 7), vocabulary, columns=16)
    assert found.stream_interval == interval
