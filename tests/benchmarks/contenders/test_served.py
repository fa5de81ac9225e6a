"""A contender that serves HTTP, as its parent sees it."""

import os
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.contenders.process import ContenderError
from benchmarks.contenders.served import ServedContender

SERVER = """
import http.server, subprocess, sys
child = subprocess.Popen(["sleep", "60"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(child.pid).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def gone(pid: int) -> bool:
    """Not there any more, or dead and waiting for whoever adopted it."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_server_is_awaited_and_ended_with_all_that_it_started(log: Path) -> None:
    with ServedContender([sys.executable, "-c", SERVER], log, environment={"X": "1"}) as contender:
        assert contender.ready
        assert contender.start_seconds > 0
        child = int(httpx.get(f"{contender.url}/health").text)
        os.kill(child, 0)
    assert not contender.ready
    assert gone(child)


def test_a_server_that_dies_shows_the_end_of_its_log(log: Path) -> None:
    with (
        pytest.raises(ContenderError, match=r"(?s)has died.*no such model"),
        ServedContender([sys.executable, "-c", "raise SystemExit('no such model')"], log),
    ):
        pytest.fail("it is not ready")


def test_a_server_that_never_becomes_ready_is_given_up(log: Path) -> None:
    with (
        pytest.raises(ContenderError, match="not ready within"),
        ServedContender([sys.executable, "-c", "import time; time.sleep(60)"], log, start_timeout=0.3),
    ):
        pytest.fail("it is not ready")
