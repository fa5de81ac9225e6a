"""What a page of another site can do with a browser on the machine of a service that lets everybody in."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import browser, needs_chromium
from tests.support.process import ServiceProcess

pytestmark = needs_chromium
EVIL = "evil.test"


class _Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>evil</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def rebound() -> Iterator[Browser]:
    """A browser to which the name server of evil.test says 127.0.0.1."""
    with browser(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as started:
        yield started


@pytest.fixture
def foreign(rebound: Browser) -> Iterator[Page]:
    """A page of evil.test."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = rebound.new_context()
    page = context.new_page()
    page.goto(f"http://{EVIL}:{server.server_port}/")
    yield page
    context.close()
    server.shutdown()
    server.server_close()


def port_of(service: ServiceProcess) -> int:
    return httpx.URL(service.url).port or 80


@pytest.mark.parametrize("path", ["/dicom-web/studies", "/v1/jobs", "/v1/models", "/", "/docs"])
def test_under_a_name_that_was_rebound_nothing_is_read(rebound: Browser, service: ServiceProcess, path: str) -> None:
    with contextlib.closing(rebound.new_context()) as context:
        answer = context.new_page().goto(f"http://{EVIL}:{port_of(service)}{path}")
        assert answer is not None
        assert answer.status == 421
        assert httpx.get(f"{service.url}{path}", follow_redirects=True).status_code == 200


POSTS = {
    "/v1/reports": "const body = new FormData(); body.append('image', new Blob(['x']), 'a.png')",
    "/v1/answers": "const body = new FormData(); body.append('question', 'x')",
    "/v1/images/edits": "const body = new FormData(); body.append('prompt', 'x')",
    "/v1/jobs/1/retry": "const body = undefined",
}


@pytest.mark.parametrize("path", POSTS)
def test_what_a_foreign_page_posts_by_script_is_not_answered(foreign: Page, service: ServiceProcess, path: str) -> None:
    # The answer would not be for that page either (Cross-Origin-Resource-Policy).
    post = f"fetch('{service.url}{path}', {{method: 'POST', mode: 'no-cors', body}}).then(() => 'read', () => 'kept')"
    assert foreign.evaluate(f"() => {{ {POSTS[path]}; return {post} }}") == "kept"
    counted = [line for line in httpx.get(f"{service.url}/metrics").text.splitlines() if 'method="POST"' in line]
    assert not [line for line in counted if 'status="403"' not in line and line.startswith("cxr_http_requests_total")]


def test_a_form_of_a_foreign_page_is_refused(foreign: Page, service: ServiceProcess) -> None:
    foreign.set_content(
        f"<form method=post enctype=multipart/form-data action={service.url}/v1/reports>"
        "<input name=question value=x><button>go</button></form>"
    )
    with foreign.expect_response(f"{service.url}/v1/reports") as answered:
        foreign.click("button")
    assert answered.value.status == 403
