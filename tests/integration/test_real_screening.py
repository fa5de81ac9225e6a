"""Films that nobody trained on, turned and inverted by hand, on the real engine and the embedded bundle's screen."""

import csv
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from models.labels import stated_labels
from tests.support.service import SHARED, encoded

FILMS = SHARED / "cxr"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(not FILMS.exists(), reason="the shared radiographs are not here"),
]
EVERY = 4
LYING = {
    "turned by 90 degrees": lambda film: np.rot90(film),
    "turned by 180 degrees": lambda film: np.rot90(film, 2),
    "turned by 270 degrees": lambda film: np.rot90(film, 3),
    "inverted": lambda film: 255 - film,
}


@pytest.fixture
def client(real) -> Iterator[httpx.Client]:  # type: ignore[no-untyped-def]
    with httpx.Client(base_url=real.url, timeout=120.0) as opened:
        yield opened


def films() -> list[np.ndarray]:
    """Every fourth frontal film of the test split."""
    with (FILMS / "index.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test" and row["view"] in ("PA", "AP")]
    return [np.asarray(Image.open(FILMS / "images" / row["file"]).convert("L")) for row in rows[::EVERY]]


def reported(client: httpx.Client, film: np.ndarray) -> httpx.Response:
    data = {"temperature": "0", "seed": "1"}
    return client.post("/v1/reports", files={"image": encoded(np.ascontiguousarray(film))}, data=data)


def test_a_film_that_lies_wrong_is_read_as_the_upright_one(client: httpx.Client) -> None:
    upright = [(film, reported(client, film)) for film in films()]
    taken = [(film, stated_labels(found.json()["report"]["text"])) for film, found in upright if found.is_success]
    assert len(taken) >= 0.98 * len(upright)
    for name, lay in LYING.items():
        equal = 0
        for film, stated in taken:
            found = reported(client, lay(film))
            warned = found.is_success and bool(found.json()["image"]["warnings"])
            equal += warned and stated_labels(found.json()["report"]["text"]) == stated
        print(f"{name}: {equal} of {len(taken)} reported as upright; {len(taken)} of {len(upright)} taken upright")
        assert equal >= 0.95 * len(taken)
