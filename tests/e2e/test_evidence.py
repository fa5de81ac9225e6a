"""Evidence on the page: off until it is asked for, over the preview, with a sentence that says what it is."""

import json

import pytest
from playwright.sync_api import Page, Route, expect

from app.dicom.sample import sample_dicom
from tests.support.browser import accessible, needs_chromium, shot, upload

pytestmark = [needs_chromium, pytest.mark.filterwarnings("ignore")]
WEIGHTS = [[0.5 if row < 4 and column < 4 else 0.0 for column in range(16)] for row in range(16)]


def answered(page: Page, decision: str = "accepted") -> list[str]:
    """Answers requests for evidence; what they asked."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_buffer.decode("latin-1"))  # type: ignore[union-attr]
        body = {"map": WEIGHTS, "image": {"screen": {"decision": decision}}}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    page.route("**/v1/evidence", answer)
    return asked


def test_the_map_is_off_until_it_is_asked_for_and_says_what_it_is(page: Page) -> None:
    asked = answered(page)
    upload(page, sample_dicom(), "a.dcm")
    button, overlay = page.get_by_role("button", name="Show what it depends on"), page.locator("#evidence-map")
    expect(button).to_be_visible()
    expect(overlay).to_be_hidden()
    assert not asked
    button.click()
    expect(overlay).to_be_visible()
    expect(page.get_by_text("It is no finding")).to_be_visible()
    expect(page.locator("#evidence-facts")).to_contain_text("0.50 nats")
    assert "The lungs are clear." in asked[0]
    page.locator("#evidence-opacity").fill("20")
    assert overlay.evaluate("one => one.style.opacity") == "0.2"
    accessible(page)
    shot(page, "evidence")
    page.get_by_role("button", name="Hide the map").click()
    expect(overlay).to_be_hidden()


def test_over_an_image_that_was_turned_no_map_is_laid(page: Page) -> None:
    answered(page, "turned")
    upload(page, sample_dicom(), "a.dcm")
    page.get_by_role("button", name="Show what it depends on").click()
    expect(page.locator("#error")).to_contain_text("was turned")
    expect(page.locator("#evidence-map")).to_be_hidden()
