"""C-STORE and C-ECHO over DIMSE (PS3.4 B, PS3.7 9.1)."""

import contextlib
import ssl
import threading
from pathlib import Path
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from pydicom.dataset import Dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from app.dicom.part10 import PREAMBLE
from app.dicom.status import FailureReason, Receipt
from app.errors import OutOfSpace
from app.ingest.protocol import Audit, Ingest
from app.settings import DimseSettings
from app.telemetry import tracing
from app.telemetry.metrics import INSTANCES
from app.third_parties import set_up_pynetdicom

log = structlog.get_logger(__name__)

_RECEIPT_SECONDS = 120.0


class StorageScp:
    """A storage SCP that answers success only for what is durable."""

    def __init__(self, settings: DimseSettings, host: str, ingest: Ingest, audit: Audit | None = None) -> None:
        self._settings = settings
        self._host = settings.host or host
        self._ingest = ingest
        self._audit = audit
        self._server: Any = None
        self._open: dict[Any, contextlib.ExitStack] = {}
        self._lock = threading.Lock()
        set_up_pynetdicom()

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken or the TLS files cannot be used."""
        settings = self._settings
        entity = AE(ae_title=settings.ae_title)
        entity.supported_contexts = AllStoragePresentationContexts
        for context in entity.supported_contexts:
            context.transfer_syntax = list(AllTransferSyntaxes)
        entity.add_supported_context(Verification)
        entity.maximum_associations = settings.max_associations
        entity.maximum_pdu_size = settings.max_pdu
        entity.network_timeout = entity.dimse_timeout = settings.network_timeout_seconds
        entity.require_calling_aet = list(settings.allowed_aes)
        entity.require_called_aet = settings.check_called_ae
        self._server = entity.start_server(
            (self._host, settings.port or 0),
            block=False,
            ssl_context=self._tls(),
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_ESTABLISHED, self._established),
                (evt.EVT_REJECTED, self._rejected),
                (evt.EVT_CONN_CLOSE, self._closed),
            ],
        )
        log.info("dimse listening", port=self.port, ae_title=settings.ae_title)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        """Stop listening and abort what is open."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if settings.tls_certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.tls_client_ca)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _established(self, event: Any) -> None:
        with self._lock:
            stack = self._open[event.assoc] = contextlib.ExitStack()
            stack.enter_context(self._ingest.sending(self._connection(event.assoc)))
        log.info("association accepted", ae=self._sender(event.assoc))

    def _rejected(self, event: Any) -> None:
        log.warning("association rejected", ae=self._sender(event.assoc))

    def _closed(self, event: Any) -> None:
        with self._lock:
            stack = self._open.pop(event.assoc, None)
        if stack is not None:
            stack.close()

    @staticmethod
    def _sender(association: Any) -> str:
        return str(association.requestor.ae_title).strip()[:16]

    def _connection(self, association: Any) -> str:
        return f"{self._sender(association)}-{id(association)}"

    def _store(self, event: Any) -> Any:
        sender = self._sender(event.assoc)
        with tracing.span("C-STORE", {}, SpanKind.SERVER):
            receipt = self._received(event, self._connection(event.assoc))
        if self._audit is not None:
            self._audit.note(f"ae:{sender}", "C-STORE", receipt.outcome)
        INSTANCES.labels(source="dimse", outcome=receipt.outcome).inc()
        if receipt.failure is not None:
            log.warning("instance refused", ae=sender, reason=receipt.outcome)
            return _answer(receipt.failure.in_dimse, receipt.detail)
        return 0x0000 if receipt.warning is None else _answer(receipt.warning, "")

    def _received(self, event: Any, sender: str) -> Receipt:
        try:
            path = self._ingest.new_file()
            try:
                _write(event, path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        except (OutOfSpace, OSError):
            return Receipt(None, None, failure=FailureReason.OUT_OF_RESOURCES, detail="The disk is full.")
        except Exception as error:
            log.error("c-store failed", exc_info=error)
            return Receipt(None, None, failure=FailureReason.PROCESSING_FAILURE, detail="It could not be stored.")
        try:
            return self._ingest.accept(path, sender=sender).result(_RECEIPT_SECONDS)
        except TimeoutError:
            # The file is handed over; a sender that repeats it meets what became of it.
            return Receipt(None, None, failure=FailureReason.PROCESSING_FAILURE, detail="It was not stored in time.")


def _write(event: Any, path: Path) -> None:
    """The received data set as a Part 10 file, byte for byte as it came."""
    with path.open("xb") as file:
        file.write(PREAMBLE)
        write_file_meta_info(file, event.file_meta, enforce_standard=True)
        event.request.DataSet.seek(0)
        while chunk := event.request.DataSet.read(1 << 20):
            file.write(chunk)


def _answer(status: int, detail: str) -> Any:
    answer = Dataset()
    answer.Status = int(status)
    if detail:
        answer.ErrorComment = detail[:64]  # LO
    return answer
