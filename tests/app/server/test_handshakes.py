"""TLS handshakes of the HTTPS port that fail are events."""

import asyncio
import socket
import ssl
from pathlib import Path

import httpx

from app.security.audit import Kind
from app.server.run import Server
from app.settings import Settings, TlsSettings
from tests.support.audit import events_of
from tests.support.certificates import Authority
from tests.support.service import Service


def _speak_without_tls(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n")
        plain.recv(100)


def _distrust(port: int) -> None:
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            context.wrap_socket(connection, server_hostname="localhost")
        except ssl.SSLCertVerificationError:
            return
    raise AssertionError("it was trusted")


async def test_peers_without_tls_or_trust_are_told_and_the_others_served(tmp_path: Path, settings: Settings) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue()
    secured = settings.model_copy(update={"port": 0, "tls": TlsSettings(certificate=certificate, key=key)})
    server = Server(Service(secured).app, secured)
    async with server.running():
        port = int(server.url.rpartition(":")[2])
        for _ in range(3):
            await asyncio.to_thread(_speak_without_tls, port)
        await asyncio.to_thread(_distrust, port)
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=authority.file)) as client:
            assert (await client.get(f"https://localhost:{port}/livez")).status_code == 200
    found = [one for one in events_of(settings.state_dir) if one["event"] == Kind.NODE_REFUSED]
    assert {one["outcome"]: one.get("requests", 1) for one in found} == {
        "http request": 3,
        "tlsv1 alert unknown ca": 1,
    }
    assert "hidden" not in str(found)
