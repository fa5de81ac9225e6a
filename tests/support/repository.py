"""An audit record repository for tests: a real TLS server that reads frames of RFC 5425, and can break."""

import contextlib
import re
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

from app.settings import AuditSettings
from tests.support.certificates import Authority

_HEADER = re.compile(rb"<85>1 (\S+) (\S+) llm-cxr (\d+) DICOM\+RFC3881 - \xef\xbb\xbf(<\?xml .*)", re.DOTALL)


class Repository:
    """Keeps every message that it has read. `port` stays the same when it goes away and comes back."""

    def __init__(self, certificate: tuple[Path, Path], clients: Path | None = None) -> None:
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
        self._tls.load_cert_chain(*certificate)
        if clients is not None:
            self._tls.verify_mode = ssl.CERT_REQUIRED
        self.messages: list[bytes] = []
        self.failures: list[str] = []
        self.break_after: int | None = None
        self.port = 0
        self._listening: socket.socket | None = None
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen."""
        listening = self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def stop(self) -> None:
        """Go away, and reset what is connected: what was not read is gone."""
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        for connection in self._open:
            _reset(connection)
        self._open.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            connection = self._tls.wrap_socket(plain, server_side=True)
        except OSError as error:
            self.failures.append(getattr(error, "reason", None) or type(error).__name__)
            plain.close()
            return
        self._open.append(connection)
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as stream:
            while (length := self._length(stream)) is not None:
                message = stream.read(length)
                if len(message) < length:
                    return
                self.messages.append(message)
                if self.break_after is not None and len(self.messages) >= self.break_after:
                    self.break_after = None
                    _reset(connection)
                    return

    @staticmethod
    def _length(stream: object) -> int | None:
        digits = b""
        while (one := stream.read(1)) not in (b" ", b""):  # type: ignore[attr-defined]
            digits += one
        return int(digits) if digits else None

    @property
    def documents(self) -> list[ElementTree.Element]:
        """The audit messages, without their headers."""
        return [ElementTree.fromstring(found[4]) for one in self.messages if (found := _HEADER.fullmatch(one))]

    def request_ids(self) -> list[str]:
        """The `request_id` of each message, as its detail has it in base64."""
        path = ".//ParticipantObjectDetail[@type='request_id']"
        return [str(found.get("value")) for one in self.documents if (found := one.find(path)) is not None]


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not SSLSocket's own, after which another thread would read what is left of it without TLS.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def sending_to(port: int, authority: Authority, **changes: Any) -> AuditSettings:
    """Settings that send the log there."""
    given = {"syslog_host": "localhost", "syslog_port": port, "syslog_ca_file": authority.file, **changes}
    return AuditSettings.model_validate(given)
