"""Syslog over TLS: messages of RFC 5424 in the frames of RFC 5425, as PS3.15 A.6 and IHE's ITI-20 ask for."""

import os
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from app.errors import CxrError
from app.security.audit.events import Event
from app.security.audit.message import Origin, messages_of
from app.settings import AuditSettings

T = TypeVar("T")

# Facility 10, security and authorization; severity 5, notice (PS3.15 A.6).
_PRIORITY = 10 * 8 + 5
_APP_NAME, _MESSAGE_ID = "llm-cxr", "DICOM+RFC3881"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_HOST_NAME = 255
# With TLS 1.3 a repository refuses our certificate only after the handshake, as we see it.
_SETTLE_SECONDS = 0.3
_SEND_SECONDS = 10.0
_UNACKNOWLEDGED_MILLISECONDS = 5_000


def frames_of(event: Event, origin: Origin) -> list[bytes]:
    """An event's messages, each with its length before it."""
    host = re.sub(r"[^!-~]", "_", origin.host)[:_MOST_HOST_NAME] or "-"
    header = f"<{_PRIORITY}>1 {event['time']} {host} {_APP_NAME} {os.getpid()} {_MESSAGE_ID} - ".encode()
    whole = [header + _BYTE_ORDER_MARK + message for message in messages_of(event, origin)]
    return [b"%d %b" % (len(message), message) for message in whole]


def tls_of(settings: AuditSettings) -> ssl.SSLContext:
    """The context of connections to the repository. Raises CxrError where a file cannot be used."""
    trusted, certificate = settings.syslog_ca_file, settings.syslog_certificate
    context = _usable("CXR_AUDIT__SYSLOG_CA_FILE", trusted, lambda: ssl.create_default_context(cafile=trusted))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:

        def load() -> None:
            # Without a password given here OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, settings.syslog_key, password="")

        _usable("CXR_AUDIT__SYSLOG_CERTIFICATE and _KEY", certificate, load)
    return context


def _usable(setting: str, path: Path | None, use: Callable[[], T]) -> T:
    try:
        return use()
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise CxrError(f"{setting}: {path} cannot be used: {reason}", code="audit_export_refused") from error


class Connection:
    """A connection to a repository, which has shown a certificate that we trust."""

    def __init__(self, settings: AuditSettings, tls: ssl.SSLContext, connect_seconds: float) -> None:
        """Connect. Raises OSError, also where the repository has ended the connection at once."""
        host = settings.syslog_host or ""
        plain = socket.create_connection((host, settings.syslog_port), connect_seconds)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MILLISECONDS)
            self._socket = tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        try:
            self.check(_SETTLE_SECONDS)
        except OSError:
            self._socket.close()
            raise

    def check(self, seconds: float = 0.0) -> None:
        """Raise OSError where the repository has closed the connection, or does so within this time."""
        self._socket.settimeout(seconds)
        try:
            ended = not self._socket.recv(1)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return
        if ended:
            raise ConnectionResetError("the repository has closed the connection")

    def send(self, frames: bytes) -> None:
        """Send what the repository is still there for. Raises OSError."""
        self.check()
        self._socket.settimeout(_SEND_SECONDS)
        self._socket.sendall(frames)

    def close(self) -> None:
        """Tell the repository that this was all, and close."""
        try:
            self._socket.settimeout(_SETTLE_SECONDS)
            self._socket.unwrap()
        except (OSError, ValueError):
            pass  # it need not answer
        finally:
            self._socket.close()
