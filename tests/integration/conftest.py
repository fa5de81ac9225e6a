"""One real service for the session."""

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
