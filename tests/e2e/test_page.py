"""The page in a real browser: what a person does with it, by mouse and by keyboard, and what it says when it fails.

Screenshots are kept in out/screenshots.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.dicom.sample import sample_dicom
from app.security.identity import Scope
from app.security.keys import Keys
from tests.support.browser import browser, needs_chromium
from tests.support.process import ServiceProcess
from tests.support.service import ROOT, SHARED, encoded, gradient
from tests.support.studies import instance, multipart

pytestmark = [needs_chromium, pytest.mark.filterwarnings("ignore")]
SHOTS = ROOT / "out" / "screenshots"
REPORT = "The lungs are clear."
REAL = SHARED / "dicom" / "chest" / "RG1_J2KI.dcm"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("page"), step_seconds=0.05) as started:
        yield started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Browser, service: ServiceProcess) -> Iterator[Page]:
    yield from _opened(chromium, service.url)


def _opened(chromium: Browser, url: str, **options: object) -> Iterator[Page]:
    context = chromium.new_context(**options)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    opened.on("request", lambda request: wrong.append(request.url) if _foreign(request.url, url) else None)
    opened.goto(url)
    yield opened
    context.close()
    assert wrong == []


def _foreign(requested: str, url: str) -> bool:
    return not requested.startswith((url, "data:", "blob:"))


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def upload(page: Page, data: bytes, name: str = "chest.dcm") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})


def accessible(page: Page) -> None:
    found = Axe().run(page)
    serious = [item["id"] for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
    assert serious == [], found.generate_report()


def test_the_strip_says_what_is_served_and_that_it_is_no_device(page: Page) -> None:
    expect(page.locator("#ready")).to_have_text("ready")
    expect(page.locator("#model")).to_have_text("fake-1")
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


def _tab_to(page: Page, wanted: str, key: str = "Tab") -> None:
    """Press Tab, or Shift+Tab, until the element `wanted` has the focus, which is to be seen there."""
    for _ in range(30):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.id") == wanted:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"Tab does not reach {wanted}")


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.className"))


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    assert _focused(page) == "skip"
    page.keyboard.press("Enter")
    assert _focused(page) == "main"
    _tab_to(page, "file")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": encoded(gradient())})
    expect(page.locator("#report")).to_have_text(REPORT)
    before = page.locator("#center").input_value()
    _tab_to(page, "center")
    page.keyboard.press("ArrowRight")
    assert page.locator("#center").input_value() != before
    _tab_to(page, "reconstruct")
    page.keyboard.press("Enter")
    expect(page.locator("#reconstruction")).to_be_visible()
    _tab_to(page, "question")
    page.keyboard.type("Is there pneumonia?")
    page.keyboard.press("Enter")
    expect(page.locator("#answers li")).to_contain_text(REPORT)
    _tab_to(page, "tab-read", "Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert _focused(page) == "tab-draw"
    _tab_to(page, "prompt")
    page.keyboard.press("Control+A")
    page.keyboard.type("Normal chest radiograph.")
    _tab_to(page, "go")
    page.keyboard.press("Enter")
    expect(page.locator("#progress")).to_have_text("Done.")
    _tab_to(page, "tab-draw", "Shift+Tab")
    page.keyboard.press("End")
    assert _focused(page) == "tab-jobs"
    page.keyboard.press("Home")
    assert _focused(page) == "tab-read"


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


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_accessible_in_both_colours_and_on_small_screens(
    chromium: Browser, service: ServiceProcess, scheme: str, width: int
) -> None:
    for opened in _opened(chromium, service.url, color_scheme=scheme, viewport={"width": width, "height": 800}):
        upload(opened, sample_dicom())
        expect(opened.locator("#ask")).to_be_visible()
        for tab in ("Draw", "Studies", "Read"):
            opened.get_by_role("tab", name=tab).click()
            accessible(opened)
            assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        shot(opened, f"{scheme}-{width}")


def test_a_key_is_asked_for_in_words_and_kept_nowhere(chromium: Browser, tmp_path: Path) -> None:
    closed = ServiceProcess(tmp_path)
    token = Keys(closed.state / "keys.json").create("page", (Scope.INFER,))
    with closed:
        for opened in _opened(chromium, closed.url):
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
