"""TLS handshakes of the DIMSE port that fail are events, with the peer's address."""

import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from app.security.audit import AuditLog, Kind
from tests.support.audit import PSEUDONYMS, events_in
from tests.support.certificates import Authority
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.intake import FakeIntake, listening

pytestmark = FAILED_CONNECTIONS


def refused(path: Path, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        found = events_in(path) if path.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{count} events did not come")


def test_peers_without_tls_without_trust_or_without_a_certificate_are_told_with_address(
    intake: FakeIntake, tmp_path: Path
) -> None:
    authority, path = Authority(tmp_path), tmp_path / "audit" / "audit.jsonl"
    audit = AuditLog(path, PSEUDONYMS)
    certificate, key = authority.issue()
    tls = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": authority.file}
    with listening(intake, audit=audit, **tls) as scp:
        with socket.create_connection(("127.0.0.1", scp.port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n")
            plain.recv(100)
        for context in (ssl.create_default_context(), ssl.create_default_context(cafile=authority.file)):
            with (
                pytest.raises((ssl.SSLError, ConnectionError)),
                socket.create_connection(("127.0.0.1", scp.port)) as connection,
                context.wrap_socket(connection, server_hostname="localhost") as secured,
            ):
                secured.recv(1)
        found = refused(path, 3)
    audit.close()
    assert {one["outcome"] for one in found} == {
        "http request",
        "tlsv1 alert unknown ca",
        "peer did not return a certificate",
    }
    for one in found:
        assert (one["event"], one["what"], one["source"]) == (Kind.NODE_REFUSED, "TLS handshake", "127.0.0.1")


def test_who_only_connects_is_no_event(intake: FakeIntake, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue()
    path = tmp_path / "audit" / "audit.jsonl"
    audit = AuditLog(path, PSEUDONYMS)
    with listening(intake, audit=audit, tls_certificate=certificate, tls_key=key) as scp:
        socket.create_connection(("127.0.0.1", scp.port)).close()
        time.sleep(0.5)
    audit.close()
    assert not path.exists()
