"""The page in a real browser: what a person does with it, and what it says when it fails."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.dicom.sample import sample_dicom
from app.security.identity import Scope
from app.security.keys import Keys
from models.bundle import read_manifest
from models.bundles import DEMO_BUNDLE
from tests.support.browser import accessible, needs_chromium, opened_page, shot, upload
from tests.support.process import ServiceProcess
from tests.support.service import SHARED, encoded, gradient
from tests.support.studies import instance, multipart

pytestmark = [needs_chromium, pytest.mark.filterwarnings("ignore")]
REPORT = "The lungs are clear."
REAL = SHARED / "dicom" / "chest" / "RG1_J2KI.dcm"


def test_the_strip_says_what_is_served_and_that_it_is_no_device(page: Page) -> None:
    expect(page.locator("#ready")).to_have_text("ready")
    expect(page.locator("#model")).to_have_text(read_manifest(DEMO_BUNDLE).label)
    expect(page.locator("#queue")).to_contain_text("under way")
    expect(page.get_by_text("not for clinical use")).to_be_visible()


@pytest.mark.parametrize("source", ["made", "real", "png"])
def test_a_radiograph_is_shown_reported_and_asked_about(page: Page, source: str) -> None:
    if source == "real" and not REAL.exists():
        pytest.skip("the shared radiographs are not here")
    data = {"made": sample_dicom, "real": lambda: REAL.read_bytes(), "png": lambda: encoded(gradient())}
    upload(page, data[source](), "a.png" if source == "png" else "a.dcm")
    expect(page.locator("#report")).to_have_text(REPORT)
    expect(page.locator("#report")).to_have_attribute("aria-busy", "false")
    before = page.evaluate("document.querySelector('#preview').toDataURL()")
    page.locator("#width").evaluate("(s) => { s.value = s.max; s.dispatchEvent(new Event('input')); }")
    assert page.evaluate("document.querySelector('#preview').toDataURL()") != before
    page.get_by_role("button", name="Reset window").click()
    assert page.evaluate("document.querySelector('#preview').toDataURL()") == before
    page.get_by_role("button", name="Show what the model sees").click()
    expect(page.locator("#reconstruction")).to_be_visible()
    for question in ("Is there pneumonia?", "Is the heart enlarged?"):
        page.fill("#question", question)
        page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answers li")).to_have_count(2)
    expect(page.locator("#answers li").nth(1)).to_contain_text(REPORT)
    accessible(page)
    shot(page, f"read-{source}")


def test_a_file_that_is_dropped_is_read(page: Page) -> None:
    payload = list(encoded(gradient()))
    page.evaluate(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "a.png"));
          const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
          document.querySelector("#drop").dispatchEvent(drop);
        }""",
        payload,
    )
    expect(page.locator("#report")).to_have_text(REPORT)


def test_a_drawing_appears_row_by_row_and_can_be_kept_and_redone(page: Page) -> None:
    page.get_by_role("tab", name="Draw").click()
    page.fill("#seed", "7")
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.locator("#progress")).to_have_text(re.compile(r"^(4|8|12) of 16 rows$"))
    shot(page, "draw-unfinished")
    expect(page.locator("#progress")).to_have_text("Done.")
    expect(page.locator("#drawn-facts")).to_contain_text("seed 7")
    for name, start in (("PNG", b"\x89PNG"), ("DICOM", b"\0" * 128 + b"DICM")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {name}").click()
        assert Path(download.value.path()).read_bytes().startswith(start)
    accessible(page)
    shot(page, "draw-done")
    page.get_by_role("button", name="With another seed").click()
    expect(page.locator("#progress")).to_have_text("Done.")
    expect(page.locator("#drawn-facts")).not_to_contain_text("seed 7,")


def test_a_drawing_is_guided_as_the_page_says_and_so_is_its_dicom(page: Page) -> None:
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("Guidance").fill("2.5")
    with page.expect_request("**/v1/images/generations") as drawn:
        page.get_by_role("button", name="Draw", exact=True).click()
    assert drawn.value.post_data_json["guidance_scale"] == 2.5
    expect(page.locator("#progress")).to_have_text("Done.")
    with page.expect_request("**/v1/images/generations") as kept:
        page.get_by_role("button", name="Download DICOM").click()
    assert kept.value.post_data_json["guidance_scale"] == 2.5
    page.get_by_label("Guidance").fill("")
    with page.expect_request("**/v1/images/generations") as drawn:
        page.get_by_role("button", name="Draw", exact=True).click()
    assert "guidance_scale" not in drawn.value.post_data_json


def test_the_best_of_several_is_drawn_as_the_page_says_and_its_dicom_is_that_drawing(page: Page) -> None:
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("Candidates").select_option("4")
    with page.expect_request("**/v1/images/generations") as drawn:
        page.get_by_role("button", name="Draw", exact=True).click()
    assert drawn.value.post_data_json["best_of"] == 4
    expect(page.locator("#progress")).to_have_text("Done.")
    expect(page.locator("#drawn-facts")).to_contain_text(f"the model reads: {REPORT}")
    accessible(page)
    shot(page, "draw-best-of")
    with page.expect_request("**/v1/images/generations") as kept:
        page.get_by_role("button", name="Download DICOM").click()
    assert "best_of" not in kept.value.post_data_json
    seed = kept.value.post_data_json["seed"]
    expect(page.locator("#drawn-facts")).to_contain_text(f"seed {seed} ")
    page.get_by_label("Candidates").select_option("1")
    with page.expect_request("**/v1/images/generations") as drawn:
        page.get_by_role("button", name="Draw", exact=True).click()
    assert "best_of" not in drawn.value.post_data_json


def test_a_drawing_can_be_stopped(page: Page, service: ServiceProcess) -> None:
    page.get_by_role("tab", name="Draw").click()
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#progress")).to_have_text("Stopped.")


def test_studies_are_listed_with_their_steps(page: Page, service: ServiceProcess) -> None:
    body, headers = multipart([instance()])
    assert httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code == 200
    page.get_by_role("tab", name="Studies").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#rows tr").first).to_contain_text("generate", timeout=15_000)
    expect(page.locator("#rows tr").first).to_contain_text(REPORT, timeout=15_000)
    accessible(page)
    shot(page, "studies")


def test_errors_are_said_in_words(page: Page) -> None:
    upload(page, b"this is no image", "a.dcm")
    expect(page.get_by_role("alert")).to_have_text("The file is not DICOM, PNG or JPEG.")
    expect(page.locator("#report")).to_have_text("No report.")
    shot(page, "error")
    upload(page, encoded(gradient()), "a.png")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#report")).to_have_text(REPORT)
    page.route("**/v1/images/generations", lambda route: route.abort())
    page.get_by_role("tab", name="Draw").click()
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("The server cannot be reached.")


def test_a_key_is_asked_for_in_words_and_kept_nowhere(chromium: Browser, tmp_path: Path) -> None:
    closed = ServiceProcess(tmp_path)
    token = Keys(closed.state / "keys.json").create("page", (Scope.INFER,))
    with closed, opened_page(chromium, closed.url) as opened:
        upload(opened, encoded(gradient()), "a.png")
        expect(opened.get_by_role("alert")).to_contain_text("API key")
        opened.get_by_text("API key", exact=True).first.click()
        opened.fill("#key", token)
        upload(opened, encoded(gradient(280, 300)), "b.png")
        expect(opened.locator("#report")).to_have_text(REPORT)
        stored = opened.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        assert token not in stored
        opened.reload()
        assert opened.input_value("#key") == ""
