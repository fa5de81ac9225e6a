"""A held file that is missing or damaged is noticed, and one sent again takes its place."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.dicom.equipment import MANUFACTURER
from app.settings import Settings
from tests.support.pacs import FakePacs
from tests.support.service import Service, running
from tests.support.studies import failures, finished, instance, parsed, quick, stored, stow


def _delete(file: Path) -> None:
    file.unlink()


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 100)


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"\x10\x00\x10\x00PN") + 8] ^= 1  # the patient's name
    file.write_bytes(data)


def _syntax(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"\x02\x00\x10\x00UI") + 8 + 16] ^= 3  # 1.2.840.10008.1.2.1 is another syntax then
    file.write_bytes(data)


def _prefix(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[128] ^= 1  # of DICM
    file.write_bytes(data)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _link(file: Path) -> None:
    file.unlink()
    file.symlink_to("/nowhere")


def _other(file: Path) -> None:
    file.write_bytes(b"")


DAMAGES = [_delete, _cut, _flip, _syntax, _prefix, _folder, _link, _other]
CODES = {damage: "file_missing" if damage in (_delete, _link) else "file_damaged" for damage in DAMAGES}
Damage = Callable[[Path], None]


def _spooled(settings: Settings) -> set[Path]:
    return set((settings.state_dir / "spool").glob("*.dcm"))


def _paths(data: bytes) -> tuple[str, str]:
    dataset = parsed(data)
    study = f"/dicom-web/studies/{dataset.StudyInstanceUID}"
    return study, f"{study}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


@pytest.mark.parametrize("damage", DAMAGES)
async def test_it_is_gone_and_not_served_until_it_is_sent_again(settings: Settings, damage: Damage) -> None:
    data = instance()
    study, path = _paths(data)
    async with running(quick(settings), durable=True) as service:
        assert (await stow(service.client, data)).status_code == 200
        await finished(service.client, str(parsed(data).StudyInstanceUID))
        (file,) = (file for file in _spooled(settings) if file.read_bytes() == data)
        damage(file)
        for place in (path, f"{path}/metadata", study, f"{study}/metadata"):
            answer = await service.client.get(place)
            assert (answer.status_code, answer.json()["code"]) == (410, CODES[damage]), place
        assert stored(await stow(service.client, data)) == [str(parsed(data).SOPInstanceUID)]
        again = await service.client.get(path, headers={"Accept": "application/dicom"})
        assert (again.status_code, again.content) == (200, data)
        assert not file.exists()
        assert (await service.client.get("/v1/jobs")).json()["total"] == 1  # its report stands


async def test_a_document_that_is_damaged_while_its_destination_is_away_is_not_delivered(settings: Settings) -> None:
    data = instance()
    pacs = FakePacs()
    pacs.status = 503
    ready = quick(settings.model_copy(update={"destinations": (pacs.destination,)}), retry_seconds=1.0)
    with pacs.running():
        async with running(ready, durable=True) as service:
            await stow(service.client, data)
            until = time.monotonic() + 15.0
            while not pacs.requests and time.monotonic() < until:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.1)  # between two attempts
            (document,) = (file for file in _spooled(settings) if file.read_bytes() != data)
            _cut(document)
            pacs.status = 200
            job = await finished(service.client, str(parsed(data).StudyInstanceUID))
            assert (job["state"], job["reason"]["code"]) == ("failed", "document_lost")


async def _failed(service: Service, settings: Settings, data: bytes, damage: Damage) -> dict[str, object]:
    assert (await stow(service.client, data)).status_code == 200
    (file,) = _spooled(settings)
    damage(file)
    return await finished(service.client, str(parsed(data).StudyInstanceUID))


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_study_whose_file_is_lost_fails_in_words_and_is_read_once_it_is_sent_again(
    settings: Settings, damage: Damage
) -> None:
    data = instance()
    async with running(quick(settings, quiet_seconds=0.5), durable=True) as service:
        job = await _failed(service, settings, data, damage)
        assert job["state"] == "failed"
        assert job["reason"]["code"] == CODES[damage]  # type: ignore[index]
        assert (await stow(service.client, data)).status_code == 200
        second = await finished(service.client, str(parsed(data).StudyInstanceUID), revision=2)
        assert second["state"] == "done"
        assert second["documents"]


@pytest.mark.parametrize("damage", [_delete, _cut])
async def test_a_lost_document_is_gone_and_written_again(settings: Settings, damage: Damage) -> None:
    data = instance()
    async with running(quick(settings), durable=True) as service:
        await stow(service.client, data)
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
        (document,) = (file for file in _spooled(settings) if file.read_bytes() != data)
        before = document.read_bytes()
        damage(document)
        answer = await service.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})
        assert (answer.status_code, answer.json()["code"]) == (410, CODES[damage])
        await stow(service.client, before)  # a PACS sends it back
        answer = await service.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})
        assert answer.content == before


async def test_what_retention_has_removed_is_kept_again_when_it_is_sent_again(settings: Settings) -> None:
    data = instance()
    _, path = _paths(data)
    async with running(quick(settings, retention_hours=0.0), durable=True) as service:
        await stow(service.client, data)
        await finished(service.client, str(parsed(data).StudyInstanceUID))
        assert await service.app.state.service.studies.remove_due() == 1
        assert (await service.client.get(path)).status_code == 404
        assert (await stow(service.client, data)).status_code == 200
        held: httpx.Response = await service.client.get(path, headers={"Accept": "application/dicom"})
        assert held.content == data


async def test_another_s_instance_under_a_held_uid_is_a_duplicate_whoever_it_says_made_it(settings: Settings) -> None:
    first = instance()
    dataset = parsed(first)
    uids = {word: str(dataset.get(word)) for word in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")}
    async with running(quick(settings), durable=True) as service:
        assert (await stow(service.client, first)).status_code == 200
        other = await stow(service.client, instance(**uids, PatientID="other", Manufacturer=MANUFACTURER))
        assert (other.status_code, failures(other)) == (409, [0x0111])


async def test_a_file_that_cannot_be_removed_is_tried_again_and_the_others_are_removed(settings: Settings) -> None:
    studies = [instance() for _ in range(3)]
    async with running(quick(settings, retention_hours=0.0), durable=True) as service:
        for data in studies:
            await stow(service.client, data)
            await finished(service.client, str(parsed(data).StudyInstanceUID))
        (stuck,) = (file for file in _spooled(settings) if file.read_bytes() == studies[1])
        _folder(stuck)
        assert await service.app.state.service.studies.remove_due() == 2
        stuck.rmdir()
        stuck.write_bytes(studies[1])
        assert await service.app.state.service.studies.remove_due() == 1
        assert not stuck.exists()


async def test_an_instance_that_is_too_large_is_refused_for_good(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"max_instance_mb": 1})
    async with running(quick(settings.model_copy(update={"limits": limits})), durable=True) as service:
        answer = await stow(service.client, instance() + bytes(1_100_000))
        assert (answer.status_code, "Retry-After" in answer.headers) == (409, False)
