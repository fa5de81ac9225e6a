"""What a client sees of studies: by its scopes, its tenant, and what it has sent itself."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.security.identity import ALL_TENANTS, Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

STORE, READ, MANAGE = Scope.DICOM_STORE, Scope.DICOM_READ, Scope.JOBS_MANAGE


class Client:
    """A key, and what it sees of a study and its job."""

    def __init__(self, service: Service, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(transport=service.client._transport, base_url="http://127.0.0.1", headers=headers)

    async def sees(self, study: str, job: str) -> dict[str, Any]:
        async def status(path: str, **headers: str) -> int:
            return (await self.http.get(path, headers=headers)).status_code

        listed = await self.http.get("/v1/jobs", params={"study": study})
        found = await self.http.get("/dicom-web/studies", params={"StudyInstanceUID": study})
        series = await self.http.get(f"/dicom-web/studies/{study}/series")
        detail = await self.http.get(f"/v1/jobs/{job}")
        return {
            "listed": listed.json()["total"] if listed.is_success else listed.status_code,
            "job": detail.status_code,
            "text": detail.is_success and detail.json()["report"] is not None,
            "report": await status(f"/v1/jobs/{job}/report"),
            "sr": await status(f"/v1/jobs/{job}/report", Accept="application/dicom"),
            "found": len(found.json()) if found.is_success else found.status_code,
            "instances": await status(f"/dicom-web/studies/{study}"),
            "metadata": await status(f"/dicom-web/studies/{study}/metadata"),
            "series": len(series.json()) if series.is_success else 0,
        }


EVERYTHING = {
    "listed": 1, "job": 200, "text": True, "report": 200, "sr": 200, "found": 1, "instances": 200, "metadata": 200,
    "series": 2,
}  # fmt: skip
NOTHING = {
    "listed": 0, "job": 404, "text": False, "report": 404, "sr": 404, "found": 0, "instances": 404, "metadata": 404,
    "series": 0,
}  # fmt: skip
NO_IMAGES = {"found": 403, "instances": 403, "metadata": 403, "series": 0}


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    Keys(settings.keys_file).create("first", (Scope.ADMIN,))
    async with running(quick(settings), durable=True) as started:
        yield started


@pytest.fixture
def client(service: Service, settings: Settings) -> Any:
    def client(*scopes: Scope, **options: Any) -> Client:
        token = Keys(settings.keys_file).create("one", scopes, **options)
        service.app.state.service.guard._keys._checked = 0.0
        return Client(service, token)

    return client


@pytest.mark.parametrize(
    ("scopes", "tenant", "expected"),
    [
        ((Scope.ADMIN,), "default", EVERYTHING),
        ((READ,), "red", EVERYTHING),
        ((Scope.DICOM,), "red", EVERYTHING),
        ((READ,), ALL_TENANTS, EVERYTHING),
        ((READ,), "blue", NOTHING),
        ((Scope.DICOM,), "default", NOTHING),
        ((MANAGE,), "red", {**NO_IMAGES, "listed": 1, "job": 200, "text": False, "report": 404, "sr": 404}),
        ((MANAGE,), "blue", {**NOTHING, **NO_IMAGES}),
        ((STORE,), "red", {**NOTHING, **NO_IMAGES}),
        ((STORE, MANAGE), "red", {**NO_IMAGES, "listed": 1, "job": 200, "text": False, "report": 404, "sr": 404}),
        ((Scope.INFER,), "red", {
            "listed": 403, "job": 403, "text": False, "report": 403, "sr": 403, **NO_IMAGES,
        }),
    ],
)  # fmt: skip
async def test_what_another_key_sees_of_a_tenants_study(
    client: Any, scopes: tuple[Scope, ...], tenant: str, expected: dict[str, Any]
) -> None:
    sender = client(STORE, READ, tenant="red")
    data = instance()
    study = str(parsed(data).StudyInstanceUID)
    assert (await stow(sender.http, data)).status_code == 200
    job = await finished(sender.http, study)
    assert await client(*scopes, tenant=tenant).sees(study, job["id"]) == expected


async def test_who_only_stores_follows_its_own_studies(client: Any) -> None:
    sender = client(STORE)
    data = instance()
    study = str(parsed(data).StudyInstanceUID)
    await stow(sender.http, data)
    job = await finished(sender.http, study)
    assert job["report"]["text"]
    assert await sender.sees(study, job["id"]) == {**EVERYTHING, **NO_IMAGES}
    assert (await sender.http.delete(f"/v1/jobs/{job['id']}")).status_code == 403


@pytest.mark.parametrize(("tenant", "status"), [("red", 409), ("blue", 404), (ALL_TENANTS, 409)])
async def test_jobs_are_cancelled_run_again_and_released_within_the_tenant(
    client: Any, tenant: str, status: int
) -> None:
    sender, manager = client(STORE, tenant="red"), client(MANAGE, tenant=tenant)
    data = instance()
    await stow(sender.http, data)
    job = await finished(sender.http, str(parsed(data).StudyInstanceUID))
    assert (await manager.http.delete(f"/v1/jobs/{job['id']}")).status_code == status
    for change in ("retry", "release"):
        assert (await manager.http.post(f"/v1/jobs/{job['id']}/{change}")).status_code == status


async def test_a_studys_report_counts_for_who_sent_it(client: Any) -> None:
    # Each study sets 1,024 tokens aside until its report is there: one at a time.
    sender, admin = client(Scope.DICOM, tokens_per_day=1_100), client(Scope.ADMIN)
    many = [instance() for _ in range(8)]
    first = await stow(sender.http, *many)
    assert first.status_code == 202
    assert "tokens of the day" in first.headers["Warning"]
    taken = [item["00081155"]["Value"][0] for item in first.json()["00081199"]["Value"]]
    assert len(taken) == 1
    sent = next(data for data in many if str(parsed(data).SOPInstanceUID) == taken[0])
    await finished(admin.http, str(parsed(sent).StudyInstanceUID))
    while (last := await stow(sender.http, instance())).status_code == 200:
        listed = (await admin.http.get("/v1/jobs")).json()
        assert listed["total"] < 8
        for one in listed["data"]:
            await finished(admin.http, one["study_instance_uid"])
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) > 0
    assert (await stow(admin.http, instance())).status_code == 200
