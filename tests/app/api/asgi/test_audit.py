"""What the audit log keeps of a request: its kind, whose data it had to do with, from where."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.security.audit import Kind
from app.security.audit.events import DataSubjects
from app.security.identity import Pseudonyms, Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.audit import events_of
from tests.support.service import Service, encoded, gradient, running
from tests.support.studies import finished, instance, parsed, quick, stow

PATIENT = {"PatientID": "TEST-A", "PatientName": "Alpha^Ann"}


class Held:
    """A study that was sent and reported on."""

    def __init__(self, service: Service, settings: Settings, data: bytes, job: str) -> None:
        self.service, self.settings, self.job = service, settings, job
        header = parsed(data)
        self.study, self.series, self.sop = (
            str(header[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )

    async def event(self, method: str, path: str) -> dict[str, Any]:
        """What is kept of a request."""
        path = path.format(study=self.study, series=self.series, sop=self.sop, job=self.job)
        response = await self.service.client.request(method, path)
        request_id = response.headers["X-Request-Id"]
        self.service.app.state.service.audit.close()
        (found,) = (one for one in events_of(self.settings.state_dir) if one.get("request_id") == request_id)
        return found


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[Held]:
    async with running(quick(settings), durable=True) as service:
        data = instance(**PATIENT)
        await stow(service.client, data)
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
        yield Held(service, settings, data, job["id"])


ASKED = [
    ("GET", "/dicom-web/studies?PatientID=TEST-A&StudyDate=20200101-", Kind.QUERY, None),
    ("GET", "/dicom-web/studies?00100020=TEST-A", Kind.QUERY, None),
    ("GET", "/dicom-web/series?StudyInstanceUID={study}", Kind.QUERY, None),
    ("GET", "/dicom-web/instances?PatientID=TEST-A", Kind.QUERY, None),
    ("GET", "/dicom-web/studies/{study}/series", Kind.QUERY, None),
    ("GET", "/dicom-web/studies/{study}/instances", Kind.QUERY, None),
    ("GET", "/dicom-web/studies/{study}/series/{series}/instances", Kind.QUERY, None),
    ("GET", "/dicom-web/studies/{study}", Kind.RETRIEVED, 2),
    ("GET", "/dicom-web/studies/{study}/metadata", Kind.RETRIEVED, 2),
    ("GET", "/dicom-web/studies/{study}/series/{series}", Kind.RETRIEVED, 1),
    ("GET", "/dicom-web/studies/{study}/series/{series}/metadata", Kind.RETRIEVED, 1),
    ("GET", "/dicom-web/studies/{study}/series/{series}/instances/{sop}", Kind.RETRIEVED, 1),
    ("GET", "/dicom-web/studies/{study}/series/{series}/instances/{sop}/metadata", Kind.RETRIEVED, 1),
    ("GET", "/dicom-web/studies/{study}/series/{series}/instances/{sop}/bulkdata/7FE00010", Kind.RETRIEVED, 1),
    ("GET", "/v1/jobs", Kind.QUERY, None),
    ("GET", "/v1/jobs/{job}", Kind.RETRIEVED, None),
    ("GET", "/v1/jobs/{job}/report", Kind.RETRIEVED, None),
    ("POST", "/v1/jobs/{job}/retry", Kind.JOB_CHANGED, None),
    ("POST", "/v1/jobs/{job}/release", Kind.JOB_CHANGED, None),
    ("DELETE", "/v1/jobs/{job}", Kind.JOB_CHANGED, None),
    ("DELETE", "/dicom-web/studies/{study}", Kind.DELETED, 2),
    ("DELETE", "/dicom-web/studies/{study}/series/{series}", Kind.DELETED, 1),
    ("DELETE", "/dicom-web/studies/{study}/series/{series}/instances/{sop}", Kind.DELETED, 1),
]


@pytest.mark.parametrize(
    ("method", "path", "kind", "instances"),
    ASKED,
)
async def test_an_event_says_whose_data_it_was(
    held: Held, method: str, path: str, kind: Kind, instances: int | None
) -> None:
    found = await held.event(method, path)
    subjects = DataSubjects(Pseudonyms.from_state_dir(held.settings.state_dir))
    assert found["event"] == kind
    assert found["studies"] == [subjects.study(held.study)]
    assert found["patients"] == [subjects.patient("TEST-A")]
    assert found.get("instances") == instances
    assert found["source"] == "127.0.0.1"
    assert held.study not in str(found)
    assert "TEST-A" not in str(found)
    if "StudyDate" in path:
        assert found["keys"] == ["PatientID", "StudyDate"]


async def test_every_route_of_studies_is_among_those_above(held: Held) -> None:
    asked = {(method, path.partition("?")[0]) for method, path, _, _ in ASKED}
    for route in held.service.app.routes:
        path = getattr(route, "path", "").replace("{instance}", "{sop}").replace("{job_id}", "{job}")
        path = path.replace("{path:path}", "7FE00010")
        if path.startswith(("/dicom-web", "/v1/jobs")):
            for method in getattr(route, "methods", set()) - {"HEAD"}:
                # STOW-RS is told below.
                assert (method, path) in asked or (method == "POST" and path.startswith("/dicom-web")), (method, path)


async def test_a_studys_way_is_told_from_arrival_to_documents(held: Held) -> None:
    held.service.app.state.service.audit.close()
    subjects = DataSubjects(Pseudonyms.from_state_dir(held.settings.state_dir))
    of_study = [
        one for one in events_of(held.settings.state_dir) if subjects.study(held.study) in one.get("studies", ())
    ]
    kinds = [one["event"] for one in of_study]
    assert {Kind.RECEIVED, Kind.READ, Kind.WRITTEN} <= set(kinds)
    assert all(one["patients"] == [subjects.patient("TEST-A")] for one in of_study)
    assert all(one["job"] == held.job for one in of_study if one["event"] in (Kind.READ, Kind.WRITTEN))


async def test_inference_and_what_was_forbidden_have_kinds_of_their_own(held: Held) -> None:
    files = {"image": encoded(gradient())}
    await held.service.client.post("/v1/reports", files=files)
    held.service.app.state.service.audit.close()
    assert Kind.INFERENCE in [one["event"] for one in events_of(held.settings.state_dir)]


async def test_refused_scrapes_are_events_and_scrapes_are_none(settings: Settings) -> None:
    Keys(settings.keys_file).create("first", (Scope.ADMIN,))
    async with running(settings) as service:
        token = Keys(settings.keys_file).create("scraper", (Scope.METRICS,))
        service.app.state.service.guard._keys._checked = 0.0
        assert (await service.client.get("/metrics")).status_code == 401
        assert (await service.client.get("/metrics", headers={"X-API-Key": token})).status_code == 200
    assert [one["what"] for one in events_of(settings.state_dir) if "/metrics" in one["what"]] == ["GET /metrics"]
