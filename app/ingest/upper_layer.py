"""The DICOM upper layer (PS3.8 9) under limits: a PDU that is longer than it may be is aborted at its header."""

import ssl
import struct
from collections.abc import Callable
from typing import Any

from pynetdicom.transport import AssociationSocket

from app.ingest.connections import Connection

_HEADER = 6
_RECEIVE = 65_536
_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ, _P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = range(1, 8)
_MOST_REQUEST_BYTES = 1_048_576
# PS3.8 9.3.2.2: context ids are odd numbers of a byte. A context has one abstract and, from us, 60 transfer syntaxes.
_MOST_CONTEXTS, _MOST_ITEMS = 128, 10_000
_CONTEXT, _USER_INFORMATION = 0x20, 0x50
_FIXED_FIELDS, _CONTEXT_FIELDS = 68, 4
_ITEM = struct.Struct(">BxH")


class Refused(OSError):
    """The peer has sent what it may not; the association is over."""


class GuardedSocket(AssociationSocket):  # type: ignore[misc]
    """The socket of one association, which reads no more than may come."""

    def __init__(
        self,
        association: Any,
        client_socket: Any,
        connection: Connection,
        max_pdu: int,
        handshake_failed: Callable[[Connection, str], None],
    ) -> None:
        super().__init__(association, client_socket=client_socket)
        self._connection = connection
        self._handshake_failed = handshake_failed
        self._limits = {
            _ASSOCIATE_RQ: _MOST_REQUEST_BYTES,
            _ASSOCIATE_AC: _HEADER,  # a peer that asks for associations sends neither
            _ASSOCIATE_RJ: 4,
            _P_DATA: max_pdu,
            _RELEASE_RQ: 4,
            _RELEASE_RP: 4,
            _ABORT: 4,
        }
        self._body_of: int | None = None

    @property
    def ready(self) -> bool:
        """Whether there is something to read, and the peer's last message has been taken up.

        Asynchronous operations are not negotiated (PS3.7 D.3.3.3), so there is one request at a time.
        """
        return self.assoc.dimse.msg_queue.empty() and bool(super().ready)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read a PDU's header or its body. Raises OSError, also where it is longer than it may be."""
        kind, self._body_of = self._body_of, None
        data = self._read(nr_bytes)
        if kind is None and len(data) == _HEADER:
            self._check_header(data)
        elif kind == _ASSOCIATE_RQ and not _is_reasonable(data):
            self._refuse("an association request of too many items")
        return data

    def _read(self, count: int) -> bytearray:
        data = bytearray()
        while len(data) < count and self.socket is not None:
            chunk = self._receive(self.socket, min(count - len(data), _RECEIVE))
            if not chunk:
                break
            data += chunk
        return data

    def _receive(self, peer: Any, count: int) -> bytes:
        try:
            return bytes(peer.recv(count))
        except ssl.SSLError as error:
            if peer.version() is None:  # the first read is the handshake, too
                self._handshake_failed(self._connection, (error.reason or "").lower().replace("_", " "))
            raise

    def _check_header(self, header: bytearray) -> None:
        kind, length = header[0], int.from_bytes(header[2:6], "big")
        if kind not in self._limits:
            return  # the state machine aborts it, and reads no body
        if length > self._limits[kind]:
            self._refuse(f"a PDU of type {kind} and {length} bytes")
        self._body_of = kind

    def _refuse(self, reason: str) -> None:
        self._connection.end(reason)
        raise Refused(reason)


def _is_reasonable(request: bytes | bytearray) -> bool:
    """Whether an A-ASSOCIATE-RQ's items (PS3.8 9.3.2) are few enough to be parsed."""
    contexts = items = 0
    at = _FIXED_FIELDS
    while at + _ITEM.size <= len(request):
        kind, length = _ITEM.unpack_from(request, at)
        at += _ITEM.size
        contexts += kind == _CONTEXT
        items += 1
        if kind in (_CONTEXT, _USER_INFORMATION):
            inner, end = at + (_CONTEXT_FIELDS if kind == _CONTEXT else 0), min(at + length, len(request))
            while inner + _ITEM.size <= end:
                inner += _ITEM.size + _ITEM.unpack_from(request, inner)[1]
                items += 1
        at += length
    return contexts <= _MOST_CONTEXTS and items <= _MOST_ITEMS
