"""Published files to import."""

from pathlib import Path

import pytest

from models.importers import Source
from tests.support.published import source_in, write_llm, write_vqgan


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A whole set of published files."""
    write_vqgan(tmp_path)
    write_llm(tmp_path / "llm")
    return source_in(tmp_path)
