"""The worker processes: what they survive."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest

from app.errors import MalformedInput, Overloaded, UnusableImage
from app.imaging import Sandbox, sandbox
from app.settings import ImagingSettings
from tests.support.service import encoded, gradient

PNG = encoded(gradient())


@pytest.fixture
async def pool() -> AsyncIterator[Sandbox]:
    box = Sandbox(ImagingSettings(workers=1, timeout_seconds=2.0, max_queue=1), 256)
    await box.start()
    yield box
    box.close()


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang(*_: object) -> None:
    while True:
        pass


def _eat(*_: object) -> np.ndarray:
    return np.ones(1 << 40, np.uint8)


async def test_an_image_comes_back_from_the_other_process(pool: Sandbox) -> None:
    image = await pool.read(PNG)
    assert image.pixels.shape == (256, 256)


async def test_a_refusal_keeps_its_class_and_code_across_the_process(pool: Sandbox) -> None:
    with pytest.raises(MalformedInput) as caught:
        await pool.read(b"")
    assert caught.value.code == "empty"


@pytest.mark.parametrize(
    ("fault", "code"), [(_die, "decoder_failed"), (_eat, "decoder_failed"), (_hang, "decode_timeout")]
)
async def test_a_fault_ends_one_request_and_the_next_one_works(
    pool: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: object, code: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sandbox, "read_radiograph", fault)
        with pytest.raises(UnusableImage) as caught:
            await pool.read(PNG)
    assert caught.value.code == code
    assert (await pool.read(PNG)).source == "png"


async def test_more_than_the_queue_holds_is_refused(pool: Sandbox) -> None:
    results = await asyncio.gather(*(pool.read(PNG) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 3
    assert (await pool.read(PNG)).source == "png"


async def test_a_cancelled_read_frees_its_place(pool: Sandbox) -> None:
    for _ in range(4):
        task = asyncio.create_task(pool.read(PNG))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (await pool.read(PNG)).source == "png"
