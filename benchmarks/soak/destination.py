"""A destination that fails now and then: a proxy before the archive that refuses, breaks off, and loses answers."""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_SHARES = {"refused": 0.1, "broken off": 0.05, "answer lost": 0.05}
_DROPPED = {"connection", "host", "content-length", "transfer-encoding", "content-encoding"}


class UnreliableProxy(ThreadingHTTPServer):
    """Forwards to `target`, mostly; `outcomes` counts what it did."""

    daemon_threads = True

    def __init__(self, port: int, target: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.target = target
        self.outcomes: Counter[str] = Counter()

    def handle_error(self, *_: object) -> None:
        """Say nothing: a service that is killed leaves its connections."""

    @contextlib.contextmanager
    def running(self) -> Iterator["UnreliableProxy"]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self.serve_forever, name="proxy")
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: UnreliableProxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        outcome = random.choices([*_SHARES, "forwarded"], [*_SHARES.values(), 1.0 - sum(_SHARES.values())])[0]
        self.server.outcomes[outcome] += 1
        body = b"".join(self._body())
        self.close_connection = True
        if outcome == "broken off":
            return
        if outcome == "refused":
            self._answer(503, {}, b"")
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED}
        found = httpx.post(f"{self.server.target}{self.path}", content=body, headers=headers, timeout=60.0)
        if outcome == "forwarded":
            kept = {name: value for name, value in found.headers.items() if name.lower() not in _DROPPED}
            self._answer(found.status_code, kept, found.content)

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline(), 16):  # RFC 9112 7.1; the service sends no trailers
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
