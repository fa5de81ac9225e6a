"""A delivery by STOW-RS that is cancelled while its body is sent."""

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest

from app.delivery.stow import StowDestination
from app.settings import DestinationSettings
from tests.support.studies import instance


class _Stalling(httpx.AsyncBaseTransport):
    """Takes so many pieces of a body, and then nothing more. It keeps the body, as a traceback would."""

    def __init__(self, taken: int) -> None:
        self._taken, self.begun = taken, asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self.body = aiter(request.stream)
        for _ in range(self._taken):
            await anext(self.body)
        self.begun.set()
        await asyncio.sleep(60)
        raise AssertionError


@pytest.mark.parametrize("taken", [1, 2, 3])
async def test_a_delivery_that_is_cancelled_leaves_no_file_open(tmp_path: Path, taken: int) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(instance())
    transport = _Stalling(taken)
    settings = DestinationSettings(name="pacs", dicomweb_url="http://pacs/dicom-web")
    sending = asyncio.create_task(StowDestination(settings, transport).send([file]))
    await asyncio.wait_for(transport.begun.wait(), 30)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert str(file) not in {one.path for one in psutil.Process().open_files()}
