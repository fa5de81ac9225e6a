"""Attacks on the HTTP face itself: heads, bodies, JSON, forms, and clients that do not go on."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx

from benchmarks.attack_target import Attack, Prepare, Target

_CHAT, _DRAW, _REPORTS = "/v1/chat/completions", "/v1/images/generations", "/v1/reports"
_FORM = {"Content-Type": "multipart/form-data; boundary=b"}
_JSON = {"Content-Type": "application/json"}
_STUDY = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
_PIECE = 1_000_000
# Longer than the service waits for a head or a body that does not come.
_PATIENCE_SECONDS = 45.0


def _opened(target: Target) -> socket.socket:
    parts = urlsplit(target.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE_SECONDS)


def _status(connection: socket.socket) -> str:
    """The status of an answer, or how the connection ended."""
    try:
        found = connection.recv(65_536)
    except TimeoutError:
        return "nothing"
    except OSError:
        return "closed"
    return found.split(b" ", 2)[1].decode() if found.startswith(b"HTTP/") else "closed"


def _said(statuses: list[str]) -> str:
    return ", ".join(f"{statuses.count(status)} x {status}" for status in dict.fromkeys(statuses))


def _head(*pieces: bytes) -> Prepare:
    """A head that goes on until the service refuses it."""

    def send(target: Target) -> str:
        with contextlib.closing(_opened(target)) as connection:
            with contextlib.suppress(OSError):
                for piece in pieces:
                    connection.sendall(piece)
                    target.sent += len(piece)
            return _status(connection)

    return lambda: send


def _stalled(begun: bytes, count: int) -> Prepare:
    """Connections that send the beginning of a request and then nothing, and what a good request gets meanwhile."""

    def send(target: Target) -> str:
        connections = [_opened(target) for _ in range(count)]
        for connection in connections:
            connection.sendall(begun)
            target.sent += len(begun)
        statuses = [_status(connection) for connection in connections]
        for connection in connections:
            connection.close()
        good = target.client.post(f"{target.url}{_DRAW}", json={"prompt": "x"}).status_code
        return f"{_said(statuses)}; then a good one {good}"

    return lambda: send


def _begun(path: str, headers: dict[str, str], body: bytes, length: int = 5_000_000) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _body(path: str, headers: dict[str, str], make: Callable[[], bytes]) -> Prepare:
    def prepare() -> Callable[[Target], str]:
        data = make()

        def pieces(target: Target) -> Iterator[bytes]:
            for at in range(0, len(data), _PIECE):
                target.sent += len(data[at : at + _PIECE])
                yield data[at : at + _PIECE]

        def send(target: Target) -> str:
            try:
                response = target.client.post(f"{target.url}{path}", content=pieces(target), headers=headers)
            except httpx.TransportError as error:
                return f"closed ({type(error).__name__})"
            found = response.json()
            return f"{response.status_code} {found.get('code') or found['error']['code']}"

        return send

    return prepare


def _messages(count: int, message: str) -> Callable[[], bytes]:
    return lambda: b'{"messages":[' + b",".join([message.encode()] * count) + b"]}"


def _left_streams(target: Target) -> str:
    """Streams of four drawings each, left at once."""
    for _ in range(6):
        with contextlib.suppress(httpx.TimeoutException):
            body = {"prompt": "x", "n": 4, "stream": True}
            target.client.post(f"{target.url}{_DRAW}", json=body, timeout=0.05)
    began = time.perf_counter()
    while target.client.get(f"{target.url}/readyz").json()["under_way"]:
        time.sleep(0.02)
    return f"all ended {time.perf_counter() - began:.1f} s later"


def _unread(target: Target) -> str:
    """Clients that ask for more than the buffers of their connection take, and read nothing."""
    asked = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10
    connections = [_opened(target) for _ in range(64)]
    for connection in connections:
        connection.sendall(asked)
        target.sent += len(asked)
    good = target.client.post(f"{target.url}{_DRAW}", json={"prompt": "x"}).status_code
    for connection in connections:
        connection.close()
    return f"a good one meanwhile {good}"


def _no_image() -> bytes:
    url = "data:image/png;base64," + "A" * 30_000_000
    part = {"type": "image_url", "image_url": {"url": url}}
    return json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()


def _chat(content: object, **fields: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}], **fields}).encode()


def _blanks() -> bytes:
    return _chat("please" + " " * 1_000_000 + "draw")


def _role(size: int) -> bytes:
    return json.dumps({"messages": [{"role": "k" * size, "content": "x"}]}).encode()


def _stop() -> bytes:
    return _chat("Is there pneumonia?", stop="a" * 5_000_000)


def _parameters() -> bytes:
    return _chat([{"type": "image_url", "image_url": {"url": "data:image/png" + ";a=b" * 7_000_000}}])


def _punycode() -> bytes:
    text = b"a" * 500_000 + b"-" + b"9a" * 250_000
    return _part(b"name=question\r\nContent-Type: text/plain; charset=punycode", text) + b"--b--"


def _emojis() -> bytes:
    return _part(b"name=question", "\U0001f600".encode() + b"a" * 999_000) * 95 + b"--b--"


def _brackets() -> bytes:
    return b'{"messages":' + b"[" * 400_000 + b"]" * 400_000 + b"}"


def _digits() -> bytes:
    return b'{"prompt":"x","seed":' + b"1" * 900_000 + b"}"


def _unknown() -> bytes:
    return json.dumps(dict.fromkeys(map(str, range(60_000)))).encode()


def _part(headers: bytes, content: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + headers + b"\r\n\r\n" + content + b"\r\n"


def _parts() -> bytes:
    return _part(b"name=x", b"") * 100_000 + b"--b--"


def _long_header() -> bytes:
    return _part(b"name=image; x=" + b"a" * 10_000_000, b"") + b"--b--"


def _text() -> bytes:
    return _part(b"name=instruction", b"a" * 90_000_000) + b"--b--"


def _zeros() -> bytes:
    return _part(b"name=image; filename=a", bytes(90_000_000)) + b"--b--"


def _dicom() -> bytes:
    return _part(b"name=image; filename=a", bytes(128) + b"DICM" + bytes(90_000_000)) + b"--b--"


_BEGUN = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
_HEADERS = b"".join(b"X-%d: a\r\n" % number for number in range(1_000))
_PATH = b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
_GZIP = {**_JSON, "Content-Encoding": "gzip"}

HTTP_ATTACKS: tuple[Attack, ...] = (
    Attack("a header of 100 MB", _head(_BEGUN + b"X-A: " + b"a" * _PIECE, *[b"a" * _PIECE] * 99)),
    Attack("300,000 headers", _head(_BEGUN, *[_HEADERS] * 300)),
    Attack("a path of 60 kB", _head(_PATH)),
    Attack("250 half heads", _stalled(_BEGUN + b"X-A: a", 250), 250),
    Attack("64 half forms", _stalled(_begun(_REPORTS, _FORM, b"--b"), 64), 64),
    Attack("64 half JSON bodies", _stalled(_begun(_CHAT, _JSON, b'{"m'), 64), 64),
    Attack("64 half studies", _stalled(_begun("/dicom-web/studies", _STUDY, b"--b"), 64), 64),
    Attack("6 streams of 4 drawings, left at once", lambda: _left_streams, 6),
    Attack("64 clients that read nothing", lambda: _unread, 64),
    Attack("JSON: 2,400,000 invalid messages", _body(_CHAT, _JSON, _messages(2_400_000, '{"role":"x"}'))),
    Attack("JSON: 3,000,000 numbers for messages", _body(_CHAT, _JSON, _messages(3_000_000, "1"))),
    Attack("JSON: 10,000 empty messages", _body(_CHAT, _JSON, _messages(10_000, '{"role":"user","content":""}'))),
    Attack("JSON: 400,000 brackets", _body(_CHAT, _JSON, _brackets)),
    Attack("JSON: a number of 900,000 digits", _body(_DRAW, _JSON, _digits)),
    Attack("JSON: 60,000 unknown fields", _body(_DRAW, _JSON, _unknown)),
    Attack("JSON: 30 MB for an image that is none", _body(_CHAT, _JSON, _no_image)),
    Attack("JSON: 1,000,000 blanks before the word that asks", _body(_CHAT, _JSON, _blanks)),
    Attack("JSON: a role of 30 MB", _body(_CHAT, _JSON, lambda: _role(30_000_000))),
    Attack("JSON: a stop of 5 MB", _body(_CHAT, _JSON, _stop)),
    Attack("JSON: a data URI of 7,000,000 parameters", _body(_CHAT, _JSON, _parameters)),
    Attack("form: a text of 1 MB in punycode", _body("/v1/answers", _FORM, _punycode)),
    Attack("form: 95 texts of 1 MB with an emoji", _body("/v1/answers", _FORM, _emojis)),
    Attack("form: 100,000 parts", _body(_REPORTS, _FORM, _parts)),
    Attack("form: a part's header of 10 MB", _body(_REPORTS, _FORM, _long_header)),
    Attack("form: a text of 90 MB", _body(_REPORTS, _FORM, _text)),
    Attack("form: 90 MB for an image that is none", _body(_REPORTS, _FORM, _zeros)),
    Attack("form: 90 MB that begin as DICOM does", _body(_REPORTS, _FORM, _dicom)),
    Attack("a compressed body", _body(_CHAT, _GZIP, lambda: bytes(900_000))),
    Attack("a body of 200 MB", _body(_REPORTS, _FORM, lambda: bytes(200_000_000))),
)
