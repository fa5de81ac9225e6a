"""Erasure of patients: by the ID as it is written, wherever their images are."""

import asyncio
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from app.cli import app as cli
from app.security.audit import Kind
from app.security.audit.events import DataSubjects
from app.security.identity import Pseudonyms, Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.audit import events_of
from tests.support.erasure import OTHER, WORDS, found_in, study_of
from tests.support.service import Service, running
from tests.support.studies import finished, instance, quick, stow


async def test_a_patient_is_erased_everywhere_and_another_in_the_same_study_stays(
    pacs: Service, settings: Settings, url: str | None
) -> None:
    await study_of(pacs, **WORDS)
    await study_of(pacs, **{**WORDS, "PatientID": "SENTINELID "})
    mixed = generate_uid()
    both = [instance(StudyInstanceUID=mixed, **of) for of in (WORDS, OTHER)]
    await stow(pacs.client, *both)
    assert (await finished(pacs.client, mixed))["reason"]["code"] == "two_patients"
    unknown = settings.state_dir / "spool" / "unknown"
    unknown.mkdir()
    (unknown / "a.dcm").write_bytes(instance(**WORDS))
    (unknown / "b.dcm").write_bytes(instance(**OTHER))
    options = ["studies", "delete", "--patient", "SENTINELID", "--state-dir", str(settings.state_dir)]
    environment = {} if url is None else {"CXR_DATABASE_URL": url}
    done = await asyncio.to_thread(CliRunner().invoke, cli, options, env=environment)
    assert done.exit_code == 0, done.output
    assert "Erased: 2 studies" in done.output
    assert found_in(settings.state_dir, url) == {}
    found = (await pacs.client.get("/dicom-web/studies")).json()
    assert [one["00100020"]["Value"] for one in found] == [["OTHERID"]]
    assert [file.name for file in unknown.iterdir()] == ["b.dcm"]
    again = await asyncio.to_thread(CliRunner().invoke, cli, options, env=environment)
    assert again.exit_code == 1


async def test_what_cannot_go_yet_stays_and_the_rest_is_erased_and_told(
    pacs: Service, settings: Settings, url: str | None
) -> None:
    gone = await study_of(pacs, **WORDS)
    mixed = generate_uid()
    pacs.app.state.service.studies._ingestor.is_being_sent = lambda study: study == mixed
    await stow(pacs.client, *(instance(StudyInstanceUID=mixed, **of) for of in (WORDS, OTHER)))
    options = ["studies", "delete", "--patient", "SENTINELID", "--state-dir", str(settings.state_dir)]
    environment = {} if url is None else {"CXR_DATABASE_URL": url}
    done = await asyncio.to_thread(CliRunner().invoke, cli, options, env=environment)
    assert done.exit_code == 1
    assert "Erased: 1 studies" in done.output
    assert "1 studies are being read or sent" in " ".join(done.output.split())
    assert (await pacs.client.get(f"/dicom-web/studies/{gone}")).status_code == 404
    subjects = DataSubjects(Pseudonyms.from_state_dir(settings.state_dir))
    told = [one for one in events_of(settings.state_dir) if one["event"] == Kind.DELETED]
    assert [one["outcome"] for one in told] == ["begun", "ok"]
    assert all({subjects.study(gone), subjects.study(mixed)} <= set(one["studies"]) for one in told)
    assert all(subjects.patient("SENTINELID") in one["patients"] for one in told)
    pacs.app.state.service.studies._ingestor.is_being_sent = lambda study: False
    await finished(pacs.client, mixed)
    assert (await asyncio.to_thread(CliRunner().invoke, cli, options, env=environment)).exit_code == 0
    assert found_in(settings.state_dir, url) == {}


@pytest.mark.parametrize("identity", ["A%B", "A_B", 'A"B', "A'B", "Ä\u540d", " PADDED ", "x" * 64, "BSX\\one", "A*"])
async def test_a_patient_is_erased_by_the_id_as_it_is_written_also_what_is_kept_apart(
    settings: Settings, identity: str
) -> None:
    Keys(settings.keys_file).create("first", (Scope.ADMIN,))
    async with running(quick(settings), durable=True) as service:
        senders = [Keys(settings.keys_file).create(name, (Scope.ADMIN,)) for name in ("a", "b")]
        service.app.state.service.guard._keys._checked = 0.0
        uid = generate_uid()
        for token, patient in zip(senders, ("OTHERID", identity), strict=True):
            service.client.headers["X-API-Key"] = token
            given = {"PatientID": patient, "PatientName": "SENTINELNAME^X" if patient == identity else "Other^Y"}
            await stow(service.client, instance(StudyInstanceUID=uid, SpecificCharacterSet="ISO_IR 192", **given))
        alone = await study_of(
            service, PatientID=identity, PatientName="SENTINELNAME^X", SpecificCharacterSet="ISO_IR 192"
        )
        near = await study_of(
            service, PatientID=f"{identity.strip()}0", PatientName="Near^Z", SpecificCharacterSet="ISO_IR 192"
        )
        options = ["studies", "delete", "--patient", identity, "--state-dir", str(settings.state_dir)]
        done = await asyncio.to_thread(CliRunner().invoke, cli, options)
        assert done.exit_code == 0, done.output
        assert "1 that were kept apart" in " ".join(done.output.split())
        assert (await service.client.get(f"/dicom-web/studies/{alone}")).status_code == 404
        assert (await service.client.get(f"/dicom-web/studies/{near}")).status_code == 200
        assert (await service.client.get(f"/dicom-web/studies/{uid}")).status_code == 200
    assert found_in(settings.state_dir, None) == {}


async def test_what_is_kept_apart_stays_with_its_sender_when_a_study_is_erased(settings: Settings) -> None:
    tokens = [Keys(settings.keys_file).create(tenant, (Scope.ADMIN,), tenant=tenant) for tenant in ("red", "blue")]
    async with running(quick(settings), durable=True) as service:
        uid = generate_uid()
        for token in tokens:
            service.client.headers["X-API-Key"] = token
            await stow(service.client, instance(StudyInstanceUID=uid, **OTHER))
        spool = settings.state_dir / "spool"
        assert (await service.client.delete(f"/dicom-web/studies/{uid}")).status_code == 204
        assert len(list(spool.glob("*.dcm"))) == 1
        # The place is free now.
        assert (await stow(service.client, instance(StudyInstanceUID=uid, **OTHER))).status_code == 200
        assert (await service.client.delete(f"/dicom-web/studies/{uid}", params={"apart": True})).status_code == 204
        assert not list(spool.glob("*.dcm"))


@pytest.mark.parametrize("arguments", [[], ["1.2.3", "--patient", "P"], ["--patient", " "]])
def test_the_command_asks_for_one_study_or_patient(tmp_path: Path, arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, ["studies", "delete", *arguments, "--state-dir", str(tmp_path)])
    assert done.exit_code != 0
