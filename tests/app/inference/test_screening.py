"""A film whose header says that it lies otherwise than its pixels do."""

from dataclasses import replace

import numpy as np
import pytest

from app.dicom.evidence.orientation import orientation_of
from app.imaging.upright import upright
from app.screening import Sight
from app.screening.fake import FRONTAL
from app.settings import Settings
from tests.support.radiographs import file_of, radiograph
from tests.support.service import gradient, running

TURNED = Sight(replace(FRONTAL, upright=0.01, turned_180=0.98))
MIRRORED = Sight(replace(FRONTAL, mirrored=0.99))
STORED = gradient(256, 256)


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """The same but for the window, which leaves out the ends of the grey range."""
    return bool(np.abs(one.astype(int) - other.astype(int)).mean() < 6)


async def reported(settings: Settings, *sights: Sight) -> tuple[list[str], np.ndarray]:
    """Warnings of a film that PatientOrientation turns, and the pixels that were encoded."""
    encoded: list[np.ndarray] = []
    async with running(settings) as service:
        encode = service.codec.encode

        async def kept(pixels: np.ndarray) -> list[int]:
            encoded.append(pixels)
            return await encode(pixels)

        service.codec.encode = kept  # type: ignore[method-assign]
        service.screen.enqueue(*sights)
        image = file_of(radiograph(STORED, PatientOrientation=["L", "H"]))
        answer = await service.client.post("/v1/reports", files={"image": image})
    return answer.json()["image"]["warnings"], encoded[-1]


async def test_what_lies_upright_as_it_is_stored_is_read_so_with_a_warning(settings: Settings) -> None:
    warnings, pixels = await reported(settings, TURNED, Sight(FRONTAL))
    assert warnings == ["The pixels do not lie as PatientOrientation says. The image was read as it is stored."]
    assert near(pixels, STORED)


async def test_what_lies_upright_as_the_header_turns_it_is_read_so(settings: Settings) -> None:
    warnings, pixels = await reported(settings, Sight(FRONTAL))
    turn = orientation_of(radiograph(STORED, PatientOrientation=["L", "H"])).turn
    assert warnings == [turn.warning]
    assert near(pixels, upright(STORED, turn))


@pytest.mark.parametrize("stored", [TURNED, MIRRORED])
async def test_where_neither_lies_upright_the_header_is_believed(settings: Settings, stored: Sight) -> None:
    warnings, _ = await reported(settings, TURNED, stored, TURNED, Sight(FRONTAL))
    assert any("as its PatientOrientation says" in warning for warning in warnings)
    assert any("lay turned" in warning for warning in warnings)
