"""A PACS of a test's own: takes STOW-RS requests and counts them, as slowly as the test wants."""

import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.settings import DestinationSettings

# SOP Instance UID (0008,0018) in Explicit VR.
_INSTANCE = re.compile(rb"\x08\x00\x18\x00UI..([0-9.]+)", re.DOTALL)


def _stored(body: bytes) -> bytes:
    """The Store Instances Response that lists every instance of a request (PS3.18 Table I.1-1)."""
    items = [{"00081155": {"vr": "UI", "Value": [uid.decode()]}} for uid in _INSTANCE.findall(body)]
    return json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()


class FakePacs:
    """What it has taken; `delay_seconds` before each answer, `status` of each answer."""

    def __init__(self) -> None:
        self.requests = 0
        self.delay_seconds = 0.0
        self.status = 200
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        pacs = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length, body = -1, b""
                while length:  # a chunked body
                    length = int(self.rfile.readline(), 16)
                    body += self.rfile.read(length)
                    self.rfile.readline()
                pacs.requests += 1
                time.sleep(pacs.delay_seconds)
                self.send_response(pacs.status)
                answer = _stored(body) if pacs.status == 200 else b"{}"
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    @property
    def destination(self) -> DestinationSettings:
        """The destination that it is."""
        return DestinationSettings(name="pacs", dicomweb_url=f"http://127.0.0.1:{self._server.server_port}")

    @contextmanager
    def running(self) -> Iterator["FakePacs"]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
