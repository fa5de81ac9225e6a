"""A browser on the page, with Debian's Chromium. Screenshots are kept in out/screenshots."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.service import ROOT

# On a busy machine a page may take longer than Playwright's five seconds.
expect.set_options(timeout=20_000)
SHOTS = ROOT / "out" / "screenshots"
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: make peers")


@contextmanager
def browser(*arguments: str) -> Iterator[Browser]:
    """A headless browser, started with further arguments."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened_page(chromium: Browser, url: str, **options: object) -> Iterator[Page]:
    """The page, which must run without an error and ask nothing of another server."""
    context = chromium.new_context(**options)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    opened.on("request", lambda request: wrong.append(request.url) if _foreign(request.url, url) else None)
    # Chromium intercepts the dialog a moment after the first listener is there, and a key may be faster.
    opened.on("filechooser", lambda _: None)
    opened.goto(url)
    try:
        yield opened
    finally:
        context.close()
    assert wrong == []


def _foreign(requested: str, url: str) -> bool:
    return not requested.startswith((url, "data:", "blob:"))


def shot(page: Page, name: str) -> None:
    """Keep a screenshot."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def upload(page: Page, data: bytes, name: str = "chest.dcm") -> None:
    """Choose a file."""
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})


def accessible(page: Page) -> None:
    """axe finds nothing serious."""
    found = Axe().run(page)
    serious = [item["id"] for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
    assert serious == [], found.generate_report()
