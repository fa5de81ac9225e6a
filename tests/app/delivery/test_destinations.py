"""Destinations, circuits and the outbox."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt

from app.delivery.circuit_breaker import CircuitBreaker, CircuitState
from app.delivery.dimse import DimseDestination
from app.delivery.outbox import Outbox
from app.delivery.stow import StowDestination
from app.errors import DeliveryFailed
from app.settings import DestinationSettings, StudySettings
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.studies import instance

pytestmark = FAILED_CONNECTIONS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.dcm"
    path.write_bytes(instance())
    return path


def stow_to(status: int, body: Any = None) -> tuple[StowDestination, list[httpx.Request]]:
    """A destination that answers so, and what it was sent."""
    requests: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        await request.aread()
        requests.append(request)
        return httpx.Response(status, content=json.dumps(body).encode() if body is not None else b"")

    settings = DestinationSettings(name="pacs", dicomweb_url="http://pacs/dicom-web/", bearer_token="t")
    return StowDestination(settings, httpx.MockTransport(answer)), requests


async def test_files_are_sent_as_they_are_in_one_stow_request(file: Path) -> None:
    destination, requests = stow_to(200, {"00081199": {"vr": "SQ", "Value": [{}]}})
    await destination.send([file, file])
    assert str(requests[0].url) == "http://pacs/dicom-web/studies"
    assert requests[0].headers["authorization"] == "Bearer t"
    assert requests[0].content.count(file.read_bytes()) == 2


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (400, None, True),
        (401, None, False),
        (409, 0xC000, True),
        (409, 0xA700, False),
        (413, None, True),
        (429, None, False),
        (500, None, False),
        (503, None, False),
        (200, 0xA900, True),
        (202, 0x0110, False),
    ],
)
async def test_a_refusal_is_final_only_where_another_attempt_cannot_mend_it(
    file: Path, status: int, reason: int | None, permanent: bool
) -> None:
    failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}
    destination, _ = stow_to(status, failed if reason else None)
    with pytest.raises(DeliveryFailed) as caught:
        await destination.send([file])
    assert caught.value.permanent is permanent


async def test_a_destination_that_is_not_there_is_unreachable(file: Path) -> None:
    stow = StowDestination(DestinationSettings(name="a", dicomweb_url="http://127.0.0.1:1/dicom-web"))
    dimse = DimseDestination(DestinationSettings(name="b", host="127.0.0.1", port=1, ae_title="X"), "LLMCXR")
    for destination in (stow, dimse):
        for attempt in (destination.send([file]), destination.check()):
            with pytest.raises(DeliveryFailed) as caught:
                await attempt
            assert (caught.value.code, caught.value.permanent) == ("unreachable", False)


@contextlib.contextmanager
def storage(status: int) -> Iterator[tuple[int, list[str]]]:
    """A C-STORE SCP that answers with a status; its port, and the UIDs that it was sent."""
    received: list[str] = []

    def store(event: Any) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return status

    entity = AE(ae_title="PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    entity.add_supported_context("1.2.840.10008.1.1")
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield server.socket.getsockname()[1], received
    finally:
        server.shutdown()


@pytest.mark.parametrize(("status", "permanent"), [(0x0000, None), (0xB000, None), (0xA700, False), (0xA900, True)])
async def test_c_store_delivers_or_says_why_not(file: Path, status: int, permanent: bool | None) -> None:
    with storage(status) as (port, received):
        settings = DestinationSettings(name="b", host="127.0.0.1", port=port, ae_title="PACS")
        destination = DimseDestination(settings, "LLMCXR")
        await destination.check()
        if permanent is None:
            await destination.send([file])
        else:
            with pytest.raises(DeliveryFailed) as caught:
                await destination.send([file])
            assert caught.value.permanent is permanent
        assert len(received) == 1


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def attempt(circuit: CircuitBreaker, error: Exception | None = None) -> None:
    """One attempt that ends so."""
    with contextlib.suppress(DeliveryFailed):
        async with circuit.attempt():
            if error is not None:
                raise error


async def test_a_circuit_opens_after_failures_and_closes_after_a_trial() -> None:
    clock = Clock()
    circuit = CircuitBreaker(failures=2, rest_seconds=10.0, clock=clock)
    await attempt(circuit, DeliveryFailed("x"))
    assert circuit.state is CircuitState.CLOSED
    await attempt(circuit, DeliveryFailed("x"))
    assert circuit.state is CircuitState.OPEN
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(attempt(circuit), 0.05)
    clock.now = 11.0
    await attempt(circuit, DeliveryFailed("x"))
    assert circuit.state is CircuitState.OPEN
    clock.now = 22.0
    await attempt(circuit)
    assert circuit.state is CircuitState.CLOSED


async def test_a_permanent_refusal_is_an_answer_and_opens_nothing() -> None:
    circuit = CircuitBreaker(failures=1)
    await attempt(circuit, DeliveryFailed("x", permanent=True))
    assert circuit.state is CircuitState.CLOSED


async def test_only_one_attempt_at_a_time_tries_an_open_circuit() -> None:
    clock = Clock()
    circuit = CircuitBreaker(failures=1, rest_seconds=1.0, clock=clock)
    await attempt(circuit, DeliveryFailed("x"))
    clock.now = 2.0
    inside, most = 0, 0

    async def one() -> None:
        nonlocal inside, most
        async with circuit.attempt():
            inside += 1
            most = max(most, inside if circuit.state is CircuitState.TRIAL else 0)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(5)))
    assert most == 1


async def test_a_cancelled_trial_leaves_the_trial_to_another() -> None:
    clock = Clock()
    circuit = CircuitBreaker(failures=1, rest_seconds=1.0, clock=clock)
    await attempt(circuit, DeliveryFailed("x"))
    clock.now = 2.0
    with pytest.raises(asyncio.CancelledError):
        async with circuit.attempt():
            raise asyncio.CancelledError
    await asyncio.wait_for(attempt(circuit), 1.0)
    assert circuit.state is CircuitState.CLOSED


class Flaky:
    """A destination that fails so many times."""

    name = "pacs"

    def __init__(self, *errors: DeliveryFailed) -> None:
        self.errors = list(errors)
        self.sent = 0

    async def send(self, files: Sequence[Path]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.sent += 1

    async def check(self) -> None:
        return None


async def test_the_outbox_tries_again_and_tells_of_each_failure(file: Path) -> None:
    flaky = Flaky(DeliveryFailed("x", code="timeout"), DeliveryFailed("x", code="http_503"))
    outbox = Outbox([flaky], StudySettings(retry_seconds=0.01))
    told: list[tuple[int, str]] = []

    async def note(count: int, code: str) -> None:
        told.append((count, code))

    async def files() -> list[Path]:
        return [file]

    await outbox.deliver("pacs", files, note)
    assert (told, flaky.sent) == ([(1, "timeout"), (2, "http_503")], 1)


async def test_the_outbox_gives_up_at_once_when_refused_for_good_and_at_last_when_time_is_over(file: Path) -> None:
    async def note(count: int, code: str) -> None:
        clock.now += 3600.0

    async def files() -> list[Path]:
        return [file]

    clock = Clock()
    for flaky, left in (
        (Flaky(*(DeliveryFailed("x") for _ in range(9))), 7),
        (Flaky(DeliveryFailed("x", permanent=True)), 0),
    ):
        clock.now = 0.0
        policy = StudySettings(retry_seconds=0.001, delivery_hours=2.0)
        outbox = Outbox([flaky], policy, circuit=lambda: CircuitBreaker(failures=100), clock=clock)
        with pytest.raises(DeliveryFailed):
            await outbox.deliver("pacs", files, note)
        assert len(flaky.errors) == left
