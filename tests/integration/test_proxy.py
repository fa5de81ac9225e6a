"""Behind nginx, below a path: page, documentation, API, streams and studies, whether it takes the path off or not."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.orthanc import free_port
from tests.support.process import ServiceProcess
from tests.support.service import ROOT, encoded, gradient
from tests.support.studies import instance, multipart, parsed

CONFIG = """
worker_processes 1; daemon off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    {recipe}
  }}
}}
"""


def recipe(upstream: int, slash: str) -> str:
    """What the documentation tells an operator to write, for this upstream, as if TLS were in front."""
    documented = (ROOT / "docs" / "proxies.md").read_text().partition("```nginx\n")[2].partition("```")[0]
    asked = "http://127.0.0.1:8080/;"
    assert asked in documented
    return documented.replace(asked, f"http://127.0.0.1:{upstream}{slash};").replace("$scheme", "https")


@contextlib.contextmanager
def nginx(folder: Path, upstream: int, slash: str) -> Iterator[int]:
    """A port at which nginx offers the service below /cxr/."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed (make peers)")
    folder.mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, recipe=recipe(upstream, slash)))
    server = subprocess.Popen([program, "-p", folder, "-c", config], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/cxr/livez", timeout=2).raise_for_status()
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("proxied")
    with ServiceProcess(
        folder, step_seconds=0.05, CXR_HTTP__ROOT_PATH="/cxr", CXR_STUDY__QUIET_SECONDS="0.2"
    ) as started:
        yield started


@pytest.fixture(params=["/", "/cxr/"], ids=["path taken off", "path left on"])
def client(request: pytest.FixtureRequest, tmp_path: Path, service: ServiceProcess) -> Iterator[httpx.Client]:
    upstream = int(service.url.rpartition(":")[2])
    with nginx(tmp_path / "nginx", upstream, request.param) as port:
        base = f"http://127.0.0.1:{port}/cxr/"
        with httpx.Client(base_url=base, timeout=30) as found:
            yield found


def test_page_and_documentation_find_all_that_they_name(client: httpx.Client) -> None:
    page = client.get("")
    assert page.status_code == 200
    for name in ("ui/style.css", "ui/app.js", "ui/icon.svg"):
        assert name in page.text
        assert client.get(name).status_code == 200
    docs = client.get("docs")
    assert docs.status_code == 200
    assert "/cxr/openapi.json" in docs.text
    assert client.get("openapi.json").json()["servers"] == [{"url": "/cxr"}]


def test_requests_streams_and_redirections_work_below_the_path(client: httpx.Client) -> None:
    assert client.post("v1/reports", files={"image": encoded(gradient())}).status_code == 200
    redirected = client.get("v1/models/")
    assert redirected.status_code == 307
    assert redirected.headers["location"] == "/cxr/v1/models"
    body = {"prompt": "x", "stream": True, "partial_images": 2}
    seen, started = [], time.monotonic()
    with client.stream("POST", "v1/images/generations", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("event:"):
                seen.append(time.monotonic() - started)
    assert seen[0] < 0.7 * seen[-1]  # not kept until the end


def test_a_study_is_stored_and_found_by_the_address_that_the_client_knows(client: httpx.Client) -> None:
    data = instance()
    content, headers = multipart([data])
    stored = client.post("dicom-web/studies", content=content, headers=headers)
    assert stored.status_code == 200
    url = stored.json()["00081190"]["Value"][0]
    assert url == f"https://{client.base_url.netloc.decode()}/cxr/dicom-web/studies/{parsed(data).StudyInstanceUID}"
    assert client.get(f"dicom-web/studies/{parsed(data).StudyInstanceUID}").status_code == 200


def test_a_clients_own_prefix_is_not_the_services(tmp_path: Path) -> None:
    forged = {"X-Forwarded-Prefix": "/elsewhere"}
    with ServiceProcess(tmp_path / "bare") as bare:  # no path in its settings
        assert "/elsewhere/" in httpx.get(f"{bare.url}/docs", headers=forged).text
        with nginx(tmp_path / "nginx", int(bare.url.rpartition(":")[2]), "/") as port:
            assert "/elsewhere" not in httpx.get(f"http://127.0.0.1:{port}/cxr/docs", headers=forged).text


@pytest.mark.parametrize("path", ["/cxr/v1/jobs", "/v1/jobs", "/cxr/cxr/v1/jobs", "/cxr//v1/jobs", "/cxrv1/jobs"])
def test_no_spelling_of_the_path_passes_the_door(tmp_path: Path, path: str) -> None:
    with ServiceProcess(tmp_path, CXR_HTTP__ROOT_PATH="/cxr", CXR_AUTH__MODE="required") as closed:
        status = httpx.get(f"{closed.url}{path}").status_code
        assert status in (401, 404)
        assert (status == 401) is (path in ("/cxr/v1/jobs", "/v1/jobs"))
