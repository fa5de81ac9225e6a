"""DIMSE messages (PS3.7) under limits: C-ECHO and C-STORE alone, data sets to disk as they come."""

import struct
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dsutils import create_file_meta

from app.dicom.part10 import PREAMBLE
from app.dicom.status import FailureReason
from app.errors import OutOfSpace
from app.ingest.connections import Connection

log = structlog.get_logger(__name__)

_C_STORE_RQ, _C_ECHO_RQ, _C_CANCEL_RQ = 0x0001, 0x0030, 0x0FFF
_COMMAND_FIELD, _DATA_SET_TYPE, _NO_DATA_SET = 0x0100, 0x0800, 0x0101
_MOST_COMMAND_BYTES = 16_384
_ELEMENT = struct.Struct("<HHI")
# Data sets of one association that may lie on disk unserved: one that is served, and one that has come behind it.
_UNSERVED = 2


class DataSet(BytesIO):
    """A data set that is written to the spool as it comes, as a Part 10 file, and is never in memory.

    What goes wrong is remembered for the answer: the peer sends the rest all the same.
    """

    def __init__(self, message: DIMSEMessage, association: Any, new_file: Callable[[], Path]) -> None:
        super().__init__()
        self._message = message
        self._association = association
        self._new_file = new_file
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._taken = False
        # The peer's fragments, the answer and the connection's end come from three threads.
        self._lock = threading.Lock()
        self.fault: FailureReason | None = None

    def write(self, data: Any) -> int:
        """Append a fragment."""
        with self._lock:
            self._write(data)
        return len(data)

    def _write(self, data: Any) -> None:
        if self.fault is None and not self._taken:
            try:
                if self._file is None:
                    self._open()
                assert self._file is not None
                self._file.write(data)
            except (OutOfSpace, OSError):
                self.fault = FailureReason.OUT_OF_RESOURCES
            except Exception as error:  # a request without what File Meta Information needs
                log.error("c-store failed", exc_info=error)
                self.fault = FailureReason.PROCESSING_FAILURE

    def _open(self) -> None:
        command = self._message.command_set
        accepted = {context.context_id: context for context in self._association.accepted_contexts}
        meta = create_file_meta(
            sop_class_uid=UID(str(command.AffectedSOPClassUID)),
            sop_instance_uid=UID(str(command.AffectedSOPInstanceUID)),
            transfer_syntax=accepted[self._message.context_id].transfer_syntax[0],
        )
        self._path = self._new_file()
        self._file = self._path.open("xb")
        self._file.write(PREAMBLE)
        write_file_meta_info(self._file, meta, enforce_standard=True)

    def take(self) -> Path | None:
        """Its closed file, which is the caller's from now on; None where nothing was written."""
        with self._lock:
            self._taken = True
            try:
                if self._file is not None:
                    self._file.close()
            except OSError:
                self.fault = FailureReason.OUT_OF_RESOURCES
            path, self._path, self._file = self._path, None, None
            return path

    def discard(self) -> None:
        """Remove what nobody has taken."""
        path = self.take()
        if path is not None:
            path.unlink(missing_ok=True)


class Messages(DIMSEServiceProvider):  # type: ignore[misc]
    """Puts an association's messages together, and ends it where one is not served here or is too long."""

    def __init__(self, association: Any, connection: Connection, new_file: Callable[[], Path], max_bytes: int) -> None:
        super().__init__(association)
        self.message: DIMSEMessage | None
        self.connection = connection
        self._new_file = new_file
        self._max_bytes = max_bytes
        self._command = bytearray()
        self._storing = False
        self._received = 0
        self._data_sets: list[DataSet] = []
        self._over = False
        connection.when_closed(self._discard_all)

    def receive_primitive(self, primitive: Any) -> None:
        """Take the fragments of one P-DATA-TF PDU."""
        complete = False
        for _, data in primitive.presentation_data_value_list:
            # What would follow a whole message in its PDU would be lost.
            fault = "more than one message in a PDU" if complete else self._fault_of(data)
            if fault is not None or self._over:
                self._end(fault)
                return
            complete = bool(data[0] & 2) and not self._storing
        if self.message is None:
            message = self.message = DIMSEMessage()
            message.data_set = self._new_data_set(message)
        super().receive_primitive(primitive)

    def _fault_of(self, data: bytes) -> str | None:
        """What is wrong with a fragment (PS3.8 E.2), if anything."""
        if not data:
            return "an empty fragment"
        return self._command_fault(data) if data[0] & 1 else self._data_fault(data)

    def _command_fault(self, data: bytes) -> str | None:
        if self._storing:
            return "a command in the middle of a data set"
        self._command += data[1:]
        if len(self._command) > _MOST_COMMAND_BYTES:
            return "a command that is too long"
        if not data[0] & 2:
            return None
        field, data_set_type = _facts(bytes(self._command))
        self._command.clear()
        if field not in (_C_STORE_RQ, _C_ECHO_RQ, _C_CANCEL_RQ):
            return "a command that is not served"
        self._storing, self._received = data_set_type != _NO_DATA_SET, 0
        if data_set_type is None or (self._storing and field != _C_STORE_RQ):
            return "a data set that none of its commands has"
        if self._storing:
            self.connection.receiving(0)
        elif field == _C_STORE_RQ:
            self.connection.serving()
        return None

    def _data_fault(self, data: bytes) -> str | None:
        if not self._storing:
            return "a data set without a command"
        self._received += len(data) - 1
        if self._received > self._max_bytes:
            return "a data set larger than is taken"
        self.connection.receiving(self._received)
        if data[0] & 2:
            self._storing = False
            self.connection.serving()
        return None

    def _new_data_set(self, message: DIMSEMessage) -> DataSet:
        while len(self._data_sets) >= _UNSERVED:
            self._data_sets.pop(0).discard()
        self._data_sets.append(DataSet(message, self.assoc, self._new_file))
        return self._data_sets[-1]

    def _end(self, fault: str | None) -> None:
        if not self._over:
            self._over = True
            self.connection.end(fault or "")

    def _discard_all(self) -> None:
        self._over = True
        for data_set in self._data_sets:
            data_set.discard()


def _facts(command: bytes) -> tuple[int | None, int | None]:
    """Command Field and Command Data Set Type of a command set (PS3.7 6.3.1: implicit VR, little endian)."""
    found: dict[int, int] = {}
    at = 0
    while at + _ELEMENT.size <= len(command):
        group, element, length = _ELEMENT.unpack_from(command, at)
        at += _ELEMENT.size
        if group == 0 and length == 2:
            found[element] = int.from_bytes(command[at : at + 2], "little")
        at += length
    return found.get(_COMMAND_FIELD), found.get(_DATA_SET_TYPE)
