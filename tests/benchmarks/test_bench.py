"""What scenarios share."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from app.settings import Settings
from benchmarks.bench import Bench
from benchmarks.measure import Result
from benchmarks.service import Service


class _Held:
    def private_mb(self) -> dict[str, float]:
        return {"cxr": 500.0}


def test_a_result_says_what_the_shared_service_holds_after_it_once_there_is_one(tmp_path: Path) -> None:
    bench = Bench(Settings(state_dir=tmp_path).bundle, "cpu", 1, tmp_path, tmp_path)
    result = Result("drawing", "Drawings", {"seconds": 1.0})
    assert bench.with_memory(result) == result
    bench._service = cast(Service, _Held())
    assert bench.with_memory(result).figures == {"seconds": 1.0, "private_mb": {"cxr": 500.0}}
    own = Result("studies", "Studies", {"private_mb": {"cxr": 600.0}})
    assert bench.with_memory(own) == own


def test_the_scenario_after_the_one_that_ended_the_shared_service_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[str] = []

    @contextlib.contextmanager
    def service(name: str, settings: Mapping[str, str] | None = None):
        running.append(name)
        yield name
        running.remove(name)

    bench = Bench(Settings(state_dir=tmp_path).bundle, "cpu", 1, tmp_path, tmp_path)
    monkeypatch.setattr(bench, "new_service", service)
    with bench:
        first = bench.service()
        assert bench.service() == first
        assert len(running) == 1
        bench.end_service()
        assert running == []
        assert bench.service() != first
    assert running == []
