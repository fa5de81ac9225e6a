"""C-STORE and C-ECHO over DIMSE (PS3.4 B, PS3.7 9.1)."""

import contextlib
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from app.dicom.status import FailureReason, Receipt
from app.ingest.connections import Connection, Connections
from app.ingest.contexts import accepted_contexts
from app.ingest.listener import Listener
from app.ingest.messages import DataSet
from app.ingest.protocol import Audit, Ingest
from app.ingest.receipt_log import log_receipts
from app.ingest.study_tokens import Reserve
from app.security.audit.events import Kind
from app.settings import DEFAULT_TENANT, DimseSettings
from app.store.owners import Owner
from app.telemetry import tracing
from app.telemetry.metrics import INSTANCES
from app.third_parties import set_up_pynetdicom

log = structlog.get_logger(__name__)

_RECEIPT_SECONDS = 120.0
# PS3.8 9.3.4: rejected for now, by the provider (presentation), local limit exceeded.
_LOCAL_LIMIT = (0x02, 0x03, 0x02)


class StorageScp:
    """A storage SCP that answers success only for what is durable, of data sets of at most `max_bytes`."""

    def __init__(
        self,
        settings: DimseSettings,
        host: str,
        ingest: Ingest,
        max_bytes: int,
        audit: Audit | None = None,
        reserve: Callable[[str], Reserve | None] = lambda owner: None,
    ) -> None:
        """`reserve` gives an owner's means to set tokens aside."""
        self._settings = settings
        self._host = settings.host or host
        self._ingest = ingest
        self._max_bytes = max_bytes
        self._audit = audit
        self._reserve = reserve
        self._server: Listener | None = None
        self._connections = Connections(settings)
        set_up_pynetdicom()

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken or the TLS files cannot be used."""
        settings = self._settings
        entity = AE(ae_title=settings.ae_title)
        entity.supported_contexts = accepted_contexts()
        # The shares of `Connections` are stricter, and count no connection that has no association.
        entity.maximum_associations = settings.max_associations + 2 * settings.max_half_open
        entity.maximum_pdu_size = settings.max_pdu
        entity.network_timeout = entity.dimse_timeout = settings.network_timeout_seconds
        entity.acse_timeout = settings.artim_seconds
        entity.require_calling_aet = list(settings.allowed_aes)
        entity.require_called_aet = settings.check_called_ae
        self._server = Listener(
            entity,
            (self._host, settings.port or 0),
            settings,
            self._tls(),
            [
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_ECHO, self._echo),
                (evt.EVT_ESTABLISHED, self._established),
                (evt.EVT_REJECTED, self._rejected),
                (evt.EVT_RELEASED, self._over),
                (evt.EVT_ABORTED, self._over),
                (evt.EVT_CONN_CLOSE, self._closed),
            ],
            self._connections,
            self._ingest.new_file,
            self._max_bytes,
            self._handshake_failed,
        )
        self._connections.start()
        threading.Thread(target=self._server.serve_forever, name="dimse", daemon=True).start()
        log.info("dimse listening", port=self.port, ae_title=settings.ae_title)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None
        return self._server.port

    def stop(self) -> None:
        """Stop listening and abort what is open."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None
            self._connections.stop()

    def _tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if settings.tls_certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.tls_client_ca)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _requested(self, event: Any) -> None:
        association = event.assoc
        connection = association.dimse.connection
        ae = str(association.requestor.primitive.calling_ae_title).strip()[:16]
        if not self._connections.admit(connection, ae):
            log.warning("association rejected", ae=ae, address=connection.address, reason="its share is taken")
            self._refused(event.assoc, "its share is taken")
            association.acse.send_reject(*_LOCAL_LIMIT)
            connection.released()
            association.kill()

    def _established(self, event: Any) -> None:
        connection, stack = event.assoc.dimse.connection, contextlib.ExitStack()
        stack.enter_context(self._ingest.sending(self._connection(event.assoc)))
        connection.when_closed(stack.close)
        connection.opened()
        log.info("association accepted", ae=self._sender(event.assoc))

    def _rejected(self, event: Any) -> None:
        log.warning("association rejected", ae=self._sender(event.assoc))
        self._refused(event.assoc, "not let in")
        self._over(event)

    def _refused(self, association: Any, outcome: str) -> None:
        if self._audit is not None:
            address, ae = association.dimse.connection.address, self._sender(association)
            self._audit.refuse(Kind.NODE_REFUSED, address, "association", outcome, ae=ae)

    def _handshake_failed(self, connection: Connection, reason: str) -> None:
        if self._audit is not None:
            self._audit.refuse(Kind.NODE_REFUSED, connection.address, "TLS handshake", reason or "failed")

    def _echo(self, event: Any) -> int:
        if self._audit is not None:
            address = event.assoc.dimse.connection.address
            self._audit.note(Kind.ECHO, f"ae:{self._sender(event.assoc)}", "C-ECHO", "ok", source=address)
        return 0x0000

    def _over(self, event: Any) -> None:
        event.assoc.dimse.connection.released()

    def _closed(self, event: Any) -> None:
        self._connections.remove(event.assoc.dimse.connection)

    @staticmethod
    def _sender(association: Any) -> str:
        return str(association.requestor.ae_title).strip()[:16]

    def _connection(self, association: Any) -> str:
        return f"{self._sender(association)}-{id(association)}"

    def _store(self, event: Any) -> Any:
        sender = self._sender(event.assoc)
        try:
            with tracing.span("C-STORE", {}, SpanKind.SERVER):
                receipt = self._received(event)
        finally:
            event.assoc.dimse.connection.opened()
        if self._audit is not None:
            self._audit.note(
                Kind.RECEIVED,
                f"ae:{sender}",
                "C-STORE",
                receipt.outcome,
                studies=[receipt.study_instance_uid or ""],
                patients=[receipt.patient_id],
                instances=1,
                source=event.assoc.dimse.connection.address,
            )
        INSTANCES.labels(source="dimse", outcome=receipt.outcome).inc()
        log_receipts([receipt], source="dimse", ae=sender)
        if receipt.failure is not None:
            return _answer(receipt.failure.in_dimse, receipt.detail)
        return 0x0000 if receipt.warning is None else _answer(receipt.warning.in_dimse, receipt.detail)

    def _received(self, event: Any) -> Receipt:
        data_set = event.request.DataSet
        assert isinstance(data_set, DataSet)
        path = data_set.take()
        if data_set.fault is not None or path is None:
            if path is not None:
                path.unlink(missing_ok=True)
            return _refused(data_set.fault or FailureReason.CANNOT_UNDERSTAND)
        try:
            return self._accept(path, event.assoc, event.request)
        except TimeoutError:
            # The file is handed over; a sender that repeats it meets what became of it.
            return Receipt(None, None, failure=FailureReason.PROCESSING_FAILURE, detail="It was not stored in time.")

    def _accept(self, path: Path, association: Any, request: Any) -> Receipt:
        ae = self._sender(association)
        owner = Owner(f"ae:{ae}", self._settings.tenants.get(ae, DEFAULT_TENANT))
        promised = self._ingest.accept(
            path,
            sender=self._connection(association),
            owner=owner,
            reserve=self._reserve(f"ae:{ae}"),
            instance=str(request.AffectedSOPInstanceUID).strip(" \0"),
            sop_class=str(request.AffectedSOPClassUID).strip(" \0"),
            character_set=self._settings.charsets.get(ae),
        )
        return promised.result(_RECEIPT_SECONDS)


_DETAILS = {
    FailureReason.OUT_OF_RESOURCES: "The disk is full.",
    FailureReason.CANNOT_UNDERSTAND: "The data set is empty.",
}


def _refused(reason: FailureReason) -> Receipt:
    return Receipt(None, None, failure=reason, detail=_DETAILS.get(reason, "It could not be stored."))


def _answer(status: int, detail: str) -> Any:
    answer = Dataset()
    answer.Status = int(status)
    if detail:
        answer.ErrorComment = detail[:64]  # LO
    return answer
