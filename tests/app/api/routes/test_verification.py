"""Whether a picture was drawn here, over HTTP, on fakes: the watermark decides, metadata is told beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.api.render import render
from app.codec.fake import FakeCodec
from app.dicom.secondary_capture import Provenance
from app.engine import Marking
from app.settings import DrawSettings, EngineSettings, Settings
from models.watermark import Watermark, green_codes
from tests.support.service import CODEBOOK, Service, encoded, gradient, running

URL = "/v1/images/verify"
KEY = "a key of the operator"
MARK = Watermark(KEY.encode(), 1.0)
SYNTHETIC = Provenance("llm-cxr 0.4", "ab" * 32)


class GivenCodec(FakeCodec):
    """Encodes every picture to the same codes."""

    def __init__(self, codes: list[int]) -> None:
        super().__init__()
        self.codes = codes

    async def encode(self, pixels: np.ndarray) -> list[int]:
        return self.codes


def codes(green: int) -> list[int]:
    """Codes of a picture of which the first `green` are green."""
    return [int(np.flatnonzero(green_codes(MARK.key, place, CODEBOOK) == (place < green))[0]) for place in range(256)]


def settings(tmp_path: Path, **draw: Any) -> Settings:
    return Settings(state_dir=tmp_path, draw=DrawSettings(watermark_key=KEY, **draw))


async def verified(tmp_path: Path, green: int, data: bytes) -> dict[str, Any]:
    async with running(settings(tmp_path), codec=GivenCodec(codes(green))) as service:
        answer = await service.client.post(URL, files={"image": data})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.mark.parametrize(("green", "marked"), [(128, False), (160, False), (167, True), (220, True)])
async def test_a_picture_is_marked_where_chance_would_hardly_make_so_many_codes_green(
    tmp_path: Path, green: int, marked: bool
) -> None:
    body = await verified(tmp_path, green, encoded(gradient()))
    assert body["marked"] == marked
    assert (body["watermark"]["green"], body["watermark"]["codes"]) == (green, 256)
    assert (body["watermark"]["p_value"] < body["watermark"]["threshold"]) == marked
    assert body["metadata"] == {"synthetic": False}


@pytest.mark.parametrize("output_format", ["png", "jpeg"])
async def test_a_file_that_says_that_a_model_made_it_is_told_so_but_is_not_marked(
    tmp_path: Path, output_format: Any
) -> None:
    body = await verified(tmp_path, 128, render(gradient(), output_format, SYNTHETIC))
    assert body["marked"] is False
    assert body["metadata"] == {"synthetic": True, "digital_source_type": "trainedAlgorithmicMedia"}
    assert "says of itself" in body["statement"]


async def test_of_a_drawing_in_dicom_the_header_alone_is_looked_at(tmp_path: Path) -> None:
    body = await verified(tmp_path, 220, render(gradient(), "dicom", SYNTHETIC))
    assert not {"marked", "watermark", "image"} & body.keys()
    assert body["metadata"] == {"synthetic": True, "synthetic_data": True}
    assert "PNG" in body["statement"]


@pytest.mark.parametrize("side", [32, 256])
async def test_a_picture_whose_pixels_cannot_be_read_is_told_why(tmp_path: Path, side: int) -> None:
    black = render(np.zeros((side, side), np.uint8), "png", SYNTHETIC)
    body = await verified(tmp_path, 220, black)
    assert body["metadata"]["synthetic"] is True
    assert "not looked at: " in body["statement"]
    assert "PNG" not in body["statement"]


@pytest.mark.parametrize("data", [b"no image", b"", encoded(np.zeros((16, 16), np.uint8))])
async def test_what_is_no_image_that_is_read_is_refused_as_everywhere(service: Service, data: bytes) -> None:
    answers = [await service.client.post(url, files={"image": data}) for url in (URL, "/v1/images/tokens")]
    assert answers[0].status_code == answers[1].status_code >= 400
    assert answers[0].json()["code"] == answers[1].json()["code"]


async def test_drawings_are_marked_from_the_place_behind_what_an_edit_keeps(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as service:
        await service.client.post("/v1/images/generations", json={"prompt": "Normal.", "guidance_scale": 2})
        form = {"prompt": "Normal.", "keep_rows": "4"}
        await service.client.post("/v1/images/edits", data=form, files={"image": encoded(gradient())})
        await service.client.post("/v1/reports", files={"image": encoded(gradient())})
        assert [one.marking for one in service.engine.generations] == [Marking(MARK, 0), Marking(MARK, 64), None]


@pytest.mark.parametrize("reference", [False, True])
async def test_a_strength_of_nothing_and_reference_decoding_mark_nothing(tmp_path: Path, reference: bool) -> None:
    of = settings(tmp_path, watermark_strength=1.0 if reference else 0.0)
    if reference:
        of = of.model_copy(update={"engine": EngineSettings(decoding="reference")})
    async with running(of) as service:
        await service.client.post("/v1/images/generations", json={"prompt": "Normal.", "seed": 1})
        assert [one.marking for one in service.engine.generations] == [None] * len(service.engine.generations)
        assert service.engine.generations
