"""What receives instances in the tests of DIMSE."""

from pathlib import Path

import pytest

from tests.support.intake import FakeIntake


@pytest.fixture
def intake(tmp_path: Path) -> FakeIntake:
    """An intake that keeps what it is given."""
    (tmp_path / "spool").mkdir()
    return FakeIntake(tmp_path / "spool")
