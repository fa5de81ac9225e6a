"""Results to an application entity by C-STORE (PS3.4 B)."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from app.delivery.answers import is_already_there, is_final, is_stored
from app.errors import DeliveryFailed
from app.settings import DestinationSettings

log = structlog.get_logger(__name__)

_VERIFICATION = "1.2.840.10008.1.1"
# PS3.8 Table 9-18: the abstract syntax, or the transfer syntaxes, are not supported. The other two may pass.
_LASTING = {3: "SOP class not supported", 4: "transfer syntaxes not supported"}
_PASSING = {1: "user rejection", 2: "no reason"}


class DimseDestination:
    """An application entity that takes C-STORE."""

    def __init__(self, settings: DestinationSettings, calling: str) -> None:
        self.name = settings.name
        self._settings = settings
        self._calling = settings.calling_ae_title or calling

    async def send(self, files: Sequence[Path]) -> None:
        """Send Part 10 files over one association; what it has no presentation context for fails, and the rest is sent.

        Raises DeliveryFailed.
        """
        stopped = threading.Event()
        try:
            await asyncio.to_thread(self._send, files, stopped)
        finally:
            # A thread cannot be cancelled: where the job is, it ends before the next object.
            stopped.set()

    async def check(self) -> None:
        """C-ECHO. Raises DeliveryFailed."""
        await asyncio.to_thread(self._echo)

    def _send(self, files: Sequence[Path], stopped: threading.Event) -> None:
        datasets = [dcmread(path) for path in files]
        entity = self._entity()
        for sop_class, syntax in _contexts(datasets):
            entity.add_requested_context(sop_class, syntax)
        association = self._associate(entity)
        try:
            refused = set()
            for dataset in datasets:
                if stopped.is_set():
                    return
                if any(_carries(context, dataset) for context in association.accepted_contexts):
                    # In the file's own syntax where that is accepted, else converted: the same UIDs and values.
                    self._check(association.send_c_store(dataset))
                else:
                    refused.add(dataset.SOPClassUID)
            if refused:
                raise self._no_context(association, refused)
        finally:
            association.release()

    def _echo(self) -> None:
        entity = self._entity()
        entity.add_requested_context(_VERIFICATION)
        association = self._associate(entity)
        try:
            self._check(association.send_c_echo())
        finally:
            association.release()

    def _entity(self) -> AE:
        entity = AE(ae_title=self._calling)
        seconds = self._settings.timeout_seconds
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = seconds
        return entity

    def _associate(self, entity: AE) -> Any:
        tls = None
        if self._settings.tls:
            ca_file = self._settings.ca_file
            tls = (ssl.create_default_context(cafile=ca_file), self._settings.host)
        association = entity.associate(
            self._settings.host, self._settings.port, ae_title=self._settings.ae_title, tls_args=tls
        )
        if association.is_established:
            return association
        if association.is_rejected:
            raise DeliveryFailed("It rejected the association.", code="dimse_rejected")
        # It accepted the association and no context of it; pynetdicom aborts such a one.
        if association.rejected_contexts:
            raise self._no_context(association, {one.abstract_syntax for one in association.rejected_contexts})
        raise DeliveryFailed("It could not be reached.", code="unreachable")

    def _no_context(self, association: Any, refused: set[UID]) -> DeliveryFailed:
        results = {context.result for context in association.rejected_contexts if context.abstract_syntax in refused}
        words = sorted((_LASTING | _PASSING).get(result, "no result") for result in results)
        classes = sorted(UID(one).name for one in refused)
        log.warning("no accepted presentation context", destination=self.name, sop_classes=classes, results=words)
        permanent = bool(results) and results <= _LASTING.keys()
        return DeliveryFailed("It accepted no presentation context.", code="dimse_no_context", permanent=permanent)

    def _check(self, status: Any) -> None:
        code = status.get("Status")
        if code is None:
            raise DeliveryFailed("It broke off the association.", code="dimse_aborted")
        if is_already_there(code):
            log.info("already there", destination=self.name, objects=1)
        elif not is_stored(code):
            raise DeliveryFailed("It refused an object.", code=f"dimse_{code:04X}", permanent=is_final([code]))


def _carries(context: Any, dataset: Dataset) -> bool:
    """Whether a data set can be sent in an accepted context: as it is, or converted between what is native."""
    own, accepted = UID(dataset.file_meta.TransferSyntaxUID), context.transfer_syntax[0]
    fits = accepted == own or not (own.is_compressed or accepted.is_compressed)
    return context.abstract_syntax == dataset.SOPClassUID and fits


def _contexts(datasets: Sequence[Dataset]) -> Iterator[tuple[UID, UID]]:
    """Presentation contexts that carry the data sets, each of one transfer syntax: the peer chooses none for us.

    PS3.5 10.1 wants Implicit VR Little Endian with every abstract syntax, but where what is compressed cannot be sent
    in it.
    """
    proposed = set()
    for dataset in datasets:
        own = UID(dataset.file_meta.TransferSyntaxUID)
        native = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
        for syntax in (own,) if own.is_compressed else (own, *native):
            if (dataset.SOPClassUID, syntax) not in proposed:
                proposed.add((dataset.SOPClassUID, syntax))
                yield dataset.SOPClassUID, syntax
