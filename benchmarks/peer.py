"""A DICOM peer by hand (PS3.8 9.3), which says and sends what no toolkit would."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Iterator

CR = b"1.2.840.10008.5.1.4.1.1.1"
VERIFICATION = b"1.2.840.10008.1.1"
IMPLICIT = b"1.2.840.10008.1.2"
ACCEPTED, REJECTED, ABORTED = 2, 3, 7
DATA, COMMAND, DATA_LAST, COMMAND_LAST = 0, 1, 2, 3


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its true length."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    """An item or sub-item of an association request."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


def request(
    calling: bytes = b"PEER",
    called: bytes = b"LLMCXR",
    abstract: bytes = CR,
    contexts: int = 1,
    syntaxes: tuple[bytes, ...] = (IMPLICIT,),
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    offered = b"".join(item(0x40, syntax) for syntax in syntaxes)
    body = struct.pack(">HH", 1, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16] + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for number in range(contexts):
        body += item(0x20, struct.pack(">BBBB", (2 * number + 1) & 0xFF, 0, 0, 0) + item(0x30, abstract) + offered)
    return pdu(1, body + item(0x50, item(0x51, struct.pack(">I", 0)) + item(0x52, b"1.2.3.4")))


def fragment(control: int, data: bytes, context: int = 1) -> bytes:
    """A P-DATA-TF PDU of one fragment (PS3.8 E.2)."""
    return pdu(4, struct.pack(">IBB", len(data) + 2, context, control) + data)


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def command(field: int, sop_class: bytes, instance: bytes = b"", data_set: bool = False) -> bytes:
    """A command set (PS3.7 6.3.1)."""
    body = _element(0x0002, sop_class) + _element(0x0100, struct.pack("<H", field))
    body += _element(0x0110, struct.pack("<H", 1))
    if field == 1:
        body += _element(0x0700, struct.pack("<H", 0))
    body += _element(0x0800, struct.pack("<H", 1 if data_set else 0x0101))
    if instance:
        body += _element(0x1000, instance)
    return _element(0x0000, struct.pack("<I", len(body))) + body


STORE = command(1, CR, b"1.2.3.4.5.6.7.8", data_set=True)
ECHO = command(0x30, VERIFICATION)


class Peer:
    """One connection."""

    def __init__(self, port: int, source: str = "127.0.0.1", timeout: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout, (source, 0))

    def close(self) -> None:
        """Close it without a word."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send. Raises OSError once the service has closed."""
        self.socket.sendall(data)

    def answer(self) -> tuple[int | None, bytes]:
        """The next PDU's type and body; None once the service has closed."""
        head = self._exactly(6)
        if len(head) < 6:
            return None, head
        return head[0], self._exactly(int.from_bytes(head[2:6], "big"))

    def _exactly(self, count: int) -> bytes:
        data = b""
        with contextlib.suppress(ConnectionError):
            while len(data) < count and (chunk := self.socket.recv(count - len(data))):
                data += chunk
        return data

    def associate(self, calling: bytes = b"PEER", abstract: bytes = CR) -> int | None:
        """Ask for an association; the type of the answer."""
        self.send(request(calling, abstract=abstract))
        return self.answer()[0]

    def echo(self) -> int | None:
        """C-ECHO; the type of the answer."""
        self.send(fragment(COMMAND_LAST, ECHO))
        return self.answer()[0]

    def flood(self, block: bytes, megabytes: int) -> float:
        """Send a block again and again until the service closes; returns how many MB it took."""
        sent = 0
        with contextlib.suppress(OSError):
            while sent < megabytes * 1_000_000:
                self.socket.sendall(block)
                sent += len(block)
        return sent / 1e6

    def drip(self, pieces: Iterable[bytes], wait: float) -> bool:
        """Send piece by piece, `wait` seconds apart; whether the service closes before the last."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
                time.sleep(wait)
        except OSError:
            return True
        return False

    def ended_within(self, seconds: float) -> bool:
        """Whether the service closes in this time, whatever it sends before."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65_536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False


@contextlib.contextmanager
def peer(port: int, source: str = "127.0.0.1") -> Iterator[Peer]:
    """A connection while the block runs."""
    made = Peer(port, source)
    try:
        yield made
    finally:
        made.close()
