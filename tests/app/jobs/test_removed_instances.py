"""What retention has removed, when it comes again: the same in whatever encoding starts nothing, a correction does."""

import asyncio

import pytest
import sqlalchemy as sa
from pydicom.uid import JPEG2000, UID, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from app.settings import Settings
from app.store.tables import instances
from tests.app.ingest.test_transfer_syntaxes import written
from tests.support.service import Service, running
from tests.support.states import changed
from tests.support.studies import finished, instance, parsed, quick, stow


async def removed(service: Service, study: str) -> None:
    """Let retention remove the study's pixel data."""
    studies = service.app.state.service.studies

    def is_gone(connection: sa.Connection) -> bool:
        mine = (instances.c.study_uid == study, instances.c.origin == "input", instances.c.file.is_not(None))
        return connection.execute(sa.select(sa.func.count()).where(*mine)).scalar_one() == 0

    for _ in range(100):
        await studies.remove_due()
        if await studies.database.read(is_gone):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("nothing was removed")


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, RLELossless, JPEGLSLossless], ids=lambda one: UID(one).keyword
)
async def test_another_encoding_of_what_was_removed_is_stored_and_starts_no_revision(
    settings: Settings, syntax: UID
) -> None:
    async with running(quick(settings, retention_hours=0.0), durable=True) as service:
        base = instance(ImageType=["ORIGINAL", "PRIMARY"])
        study = parsed(base).StudyInstanceUID
        await stow(service.client, base)
        await finished(service.client, study)
        await removed(service, study)
        assert (await stow(service.client, written(syntax, base))).status_code == 200
        await asyncio.sleep(0.3)
        assert len((await service.client.get(f"/v1/jobs?study={study}")).json()["data"]) == 1
        # A correction is still one, and an older state of it is known when that was removed as well.
        other = changed(base, AccessionNumber="OTHER")
        await stow(service.client, other)
        await finished(service.client, study, revision=2)
        await removed(service, study)
        response = await stow(service.client, written(syntax, base))
        assert response.status_code == 202
        assert "stays" in response.headers["warning"]
        await asyncio.sleep(0.3)
        assert len((await service.client.get(f"/v1/jobs?study={study}")).json()["data"]) == 2


async def test_a_lossy_copy_of_what_was_removed_is_stored_and_read(settings: Settings) -> None:
    async with running(quick(settings, retention_hours=0.0), durable=True) as service:
        base = instance(ImageType=["ORIGINAL", "PRIMARY"])
        study = parsed(base).StudyInstanceUID
        await stow(service.client, base)
        await finished(service.client, study)
        await removed(service, study)
        assert (await stow(service.client, written(JPEG2000, base))).status_code == 200
        assert (await finished(service.client, study, revision=2))["state"] == "done"


async def test_what_is_answered_as_stored_is_there_though_it_only_says_otherwise_that_it_is_lossy(
    settings: Settings,
) -> None:
    async with running(quick(settings, retention_hours=0.0), durable=True) as service:
        base = instance(ImageType=["ORIGINAL", "PRIMARY"])
        study, other = parsed(base).StudyInstanceUID, changed(base, LossyImageCompression="01")
        await stow(service.client, base)
        await finished(service.client, study)
        await removed(service, study)
        assert (await stow(service.client, other)).status_code == 200
        place = f"/dicom-web/studies/{study}/series/{parsed(base).SeriesInstanceUID}/instances"
        place += f"/{parsed(base).SOPInstanceUID}"
        assert (await service.client.get(place, headers={"Accept": "application/dicom"})).content == other
