"""The page by keyboard alone, in both colours and on small screens."""

import pytest
from playwright.sync_api import Browser, Page, expect

from app.dicom.sample import sample_dicom
from tests.support.browser import accessible, needs_chromium, opened_page, shot, upload
from tests.support.process import ServiceProcess
from tests.support.service import encoded, gradient

pytestmark = [needs_chromium, pytest.mark.filterwarnings("ignore")]
REPORT = "The lungs are clear."


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


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_accessible_in_both_colours_and_on_small_screens(
    chromium: Browser, service: ServiceProcess, scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 800}
    with opened_page(chromium, service.url, color_scheme=scheme, viewport=viewport) as opened:
        upload(opened, sample_dicom())
        expect(opened.locator("#ask")).to_be_visible()
        for tab in ("Draw", "Studies", "Read"):
            opened.get_by_role("tab", name=tab).click()
            accessible(opened)
            assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        shot(opened, f"{scheme}-{width}")
