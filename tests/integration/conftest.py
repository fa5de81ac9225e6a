"""One real service for the session, and what vLLM leaves behind in a test's own process."""

import gc
from collections.abc import Iterator

import pytest

from tests.support.served import Running, start


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service of the session."""
    service = start(tmp_path_factory.mktemp("service"))
    yield service
    if service.process.poll() is None:
        assert service.stop() == 0
        assert "EngineDeadError" not in service.log.read_text()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """vLLM leaves the ZeroMQ context of an engine that has ended to the collector, which warns of it."""
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True)
def _collected_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect it in the test that made it: the warning would fail another one."""
    yield
    if request.node.get_closest_marker("engine"):
        gc.collect()
