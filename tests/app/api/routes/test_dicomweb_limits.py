"""What a STOW-RS request may hold: parts, what is in them, their headers."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.settings import Settings
from benchmarks.hostile import with_value
from tests.support.service import Service, running
from tests.support.studies import instance, multipart, other_failures, parsed, quick, stow


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    """The application on fakes, taking studies."""
    async with running(quick(settings), durable=True) as started:
        yield started


@pytest.mark.parametrize("part", [b"", b"x", b"x" * 20])
async def test_a_request_ends_past_its_instances_and_what_came_before_is_stored(
    settings: Settings, part: bytes
) -> None:
    limits = settings.limits.model_copy(update={"max_instances": 100})
    async with running(quick(settings.model_copy(update={"limits": limits})), durable=True) as pacs:
        good, read = instance(), 0
        body, headers = multipart([good, *[part] * 200_000])

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal read
            for at in range(0, len(body), 65_536):
                read += 1
                yield body[at : at + 65_536]

        response = await pacs.client.post("/dicom-web/studies", content=chunks(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "too_many_instances")
        assert "1 of its first 100 are stored" in response.json()["detail"]
        assert response.headers["connection"] == "close"
        assert read < len(good) // 65_536 + 5
        found = await pacs.client.get("/dicom-web/studies", params={"StudyInstanceUID": parsed(good).StudyInstanceUID})
        assert len(found.json()) == 1
        assert len(list((settings.state_dir / "spool").glob("*.dcm"))) <= 2


async def test_others_have_their_turn_while_a_request_of_many_parts_is_read(pacs: Service) -> None:
    body, headers = multipart([b"x" * 140] * 5_000)
    longest, over = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not over:
            before = time.thread_time()  # of the processor: what else runs on the machine does not count
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    response = await pacs.client.post("/dicom-web/studies", content=body, headers=headers)
    over = True
    await watching
    assert (response.status_code, len(other_failures(response))) == (409, 5_000)
    assert longest < 1.0


async def test_a_large_part_is_written_whole_and_one_over_the_limit_leaves_nothing(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"max_instance_mb": 30})
    async with running(quick(settings.model_copy(update={"limits": limits})), durable=True) as pacs:
        small, large = with_value(25_000_000), with_value(31_000_000)
        response = await stow(pacs.client, small, large)
        assert (response.status_code, other_failures(response)) == (202, [0x0110])
        (held,) = (settings.state_dir / "spool").glob("*.dcm")
        assert held.read_bytes() == small


async def test_as_many_parts_as_are_allowed_are_answered_one_by_one(pacs: Service) -> None:
    body, headers = multipart([b"x" * 20] * 10_000)
    response = await pacs.client.post("/dicom-web/studies", content=body, headers=headers)
    assert response.status_code == 409
    assert other_failures(response) == [0xC000] * 10_000


async def test_parts_without_an_instance_in_them_open_no_file(
    pacs: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    ingest = pacs.app.state.service.studies.ingest
    new_file = ingest.new_file
    monkeypatch.setattr(ingest, "new_file", lambda: opened.append(1) or new_file())
    response = await stow(pacs.client, b"", b"x", b"x" * 15, instance())
    assert (response.status_code, other_failures(response), len(opened)) == (202, [0xC000] * 3, 1)


@pytest.mark.parametrize(
    "header", [b"X-Long: " + b"x" * 10_000_000, b"x" * 10_000_000 + b": y", b"\r\n".join([b"X-Many: y"] * 17)]
)
async def test_the_header_of_a_part_is_bounded(pacs: Service, header: bytes) -> None:
    body, headers = multipart([instance()])
    body = body.replace(b"Content-Type:", header + b"\r\nContent-Type:", 1)
    assert (await pacs.client.post("/dicom-web/studies", content=body, headers=headers)).status_code == 400
