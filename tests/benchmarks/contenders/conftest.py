"""A bundle small enough to run in a unit test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.bundle import Bundle, load
from models.bundle.random import Geometry, make_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("contenders") / "tiny", Geometry(hidden=32, layers=1, heads=1)))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make a tiny model ten times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def prompts(tiny: Bundle) -> list[list[int]]:
    """Two prompts of different lengths that end with the image opening."""
    texts = ("Normal.", "Left pleural effusion, moderate.")
    return [[*tiny.prompts.draw(text), *tiny.prompts.image_opening()] for text in texts]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "contender.log"
