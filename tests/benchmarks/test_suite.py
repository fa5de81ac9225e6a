"""What scenarios share."""

from pathlib import Path
from typing import Any, Self, cast

from app.settings import Settings
from benchmarks.measure import Result
from benchmarks.service import Service
from benchmarks.suite import Suite

RUNNING: list[Path] = []


class _Started:
    """Stands for a service that runs."""

    def __init__(self, folder: Path, **_: Any) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        RUNNING.append(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        RUNNING.remove(self.folder)

    def private_mb(self) -> dict[str, float]:
        return {"cxr": 500.0}


def _launch(folder: Path, **options: Any) -> Service:
    return cast(Service, _Started(folder, **options))


def _suite(tmp_path: Path) -> Suite:
    return Suite(Settings(state_dir=tmp_path).bundle, "cpu", 1, tmp_path, tmp_path, _launch)


def test_a_result_says_what_the_shared_service_holds_after_it_once_there_is_one(tmp_path: Path) -> None:
    result = Result("drawing", "Drawings", {"seconds": 1.0})
    with _suite(tmp_path) as suite:
        assert suite.with_memory(result) == result
        suite.service()
        assert suite.with_memory(result).figures == {"seconds": 1.0, "private_mb": {"cxr": 500.0}}
        own = Result("studies", "Studies", {"private_mb": {"cxr": 600.0}})
        assert suite.with_memory(own) == own


def test_the_scenario_after_the_one_that_ended_the_shared_service_gets_another(tmp_path: Path) -> None:
    with _suite(tmp_path) as suite:
        first = suite.service()
        assert suite.service() is first
        assert len(RUNNING) == 1
        suite.end_service()
        assert RUNNING == []
        assert suite.service() is not first
    assert RUNNING == []
