"""Findings and the order of studies on the page: what each number is of, what it is worth, what may be done."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import accessible, needs_chromium, opened_page, shot, upload
from tests.support.findings import with_findings, without_findings
from tests.support.process import ServiceProcess
from tests.support.service import encoded, gradient
from tests.support.studies import instance, multipart

pytestmark = [needs_chromium, pytest.mark.filterwarnings("ignore")]
THRESHOLDS = {"CXR_STUDY__URGENT_ABOVE": "0.2", "CXR_STUDY__ASAP_ABOVE": "0.9"}


@pytest.fixture(scope="module")
def declaring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service whose bundle declares findings, one of which is calibrated, and says that it is abnormal by."""
    folder = tmp_path_factory.mktemp("declaring")
    bundle = with_findings(folder)
    manifest = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**manifest, "abnormal": "pneumonia"}))
    with ServiceProcess(folder / "state", CXR_BUNDLE=str(bundle), **THRESHOLDS) as started:
        yield started


@pytest.fixture
def triaged(chromium: Browser, declaring: ServiceProcess) -> Iterator[Page]:
    with opened_page(chromium, declaring.url) as opened:
        yield opened


def send(service: ServiceProcess, **attributes: str) -> None:
    body, headers = multipart([instance(**attributes)])
    assert httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code == 200


def test_the_findings_of_a_radiograph_are_bars_that_say_what_they_are_worth(triaged: Page) -> None:
    upload(triaged, encoded(gradient()), "a.png")
    bars = triaged.locator("#finding-bars li")
    expect(bars).to_have_count(3)
    # The fake holds yes and no equally likely: the calibration of the first makes 27 % of it.
    for place, (name, value) in enumerate([("abnormal", "26.9%"), ("pneumonia", "26.9%"), ("normal", "50%")]):
        expect(bars.nth(place)).to_contain_text(name)
        expect(bars.nth(place)).to_contain_text(value)
    expect(bars.nth(1)).to_contain_text("below the operating point 40% (sensitivity 90%, specificity 80%)")
    expect(bars.nth(1)).not_to_contain_text("not calibrated")
    expect(bars.nth(2)).to_contain_text("not calibrated")
    expect(triaged.locator("#finding-note")).to_contain_text("What is marked as not calibrated")
    expect(triaged.get_by_label("pneumonia: 26.9%, calibrated")).to_be_visible()
    accessible(triaged)
    shot(triaged, "findings")


def test_a_bundle_without_findings_shows_none_and_says_nothing(chromium: Browser, tmp_path: Path) -> None:
    settings = {"CXR_BUNDLE": str(without_findings(tmp_path))}
    with (
        ServiceProcess(tmp_path / "state", **settings) as declaring_none,
        opened_page(chromium, declaring_none.url) as page,
    ):
        with page.expect_response("**/v1/findings") as asked:
            upload(page, encoded(gradient()), "a.png")
        assert asked.value.status == 400
        expect(page.locator("#report")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#findings")).to_be_hidden()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_studies_show_their_priority_and_are_listed_by_it(triaged: Page, declaring: ServiceProcess) -> None:
    send(declaring)
    triaged.get_by_role("tab", name="Studies").click()
    row = triaged.locator("#rows tr").first
    expect(row).to_contain_text("urgent")
    expect(row).to_contain_text("abnormal 26.9%, calibrated")
    expect(triaged.locator("#order-note")).to_be_hidden()
    with triaged.expect_request(re.compile("order=priority")):
        triaged.get_by_label("Order").select_option("priority")
    expect(triaged.locator("#order-note")).to_be_visible()
    accessible(triaged)
    shot(triaged, "studies-by-priority")


def test_a_report_in_review_is_released_by_a_button(page: Page, service: ServiceProcess) -> None:
    send(service)
    released: list[str] = []

    def held_back(route: Route) -> None:
        # As a job in review looks: the fake never disagrees with itself.
        body = route.fetch().json()
        for job in body.get("data", [body]):
            job["state"] = "delivering" if released else "review"
        route.fulfill(json=body)

    def release(route: Route) -> None:
        released.append(route.request.method)
        route.fulfill(status=202, json={})

    page.route(re.compile("/v1/jobs"), held_back)
    page.route("**/v1/jobs/*/release", release)
    page.get_by_role("tab", name="Studies").click()
    button = page.get_by_role("button", name="Release job")
    expect(button.first).to_be_visible()
    accessible(page)
    shot(page, "studies-review")
    button.first.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_count(0)
    assert released == ["POST"]


def test_a_failed_study_is_run_again_by_a_button_and_a_refusal_is_said(page: Page, service: ServiceProcess) -> None:
    send(service, PatientID="12\n34")
    page.get_by_role("tab", name="Studies").click()
    button = page.get_by_role("button", name="Retry job")
    expect(button).to_have_count(1)
    with page.expect_response("**/retry") as asked:
        button.click()
    assert asked.value.status == 202
    page.route("**/v1/jobs/*/retry", lambda route: route.fulfill(status=409, json={"detail": "Only a failed job."}))
    button.click()
    expect(page.get_by_role("alert")).to_have_text("Only a failed job.")
