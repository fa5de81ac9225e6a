"""Destinations: where results go, by STOW-RS or C-STORE."""

import asyncio
import ssl
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
from pydicom import dcmread
from pynetdicom import AE

from app.dicom.multipart import write_parts
from app.dicom.status import FailureReason
from app.errors import DeliveryFailed
from app.settings import DestinationSettings, Settings
from app.telemetry import tracing

# These statuses are final. 401 and 403 are retried: the PACS may be reconfigured.
_REFUSED = {400, 404, 405, 406, 409, 410, 413, 415, 422}
_VERIFICATION = "1.2.840.10008.1.1"


class Destination(Protocol):
    """A PACS that takes results."""

    name: str

    async def send(self, files: Sequence[Path]) -> None:
        """Send Part 10 files. Raises DeliveryFailed."""

    async def check(self) -> None:
        """See whether it answers. Raises DeliveryFailed."""


def destinations(settings: Settings) -> list[Destination]:
    """The configured destinations."""
    return [
        StowDestination(one) if one.dicomweb_url else DimseDestination(one, settings.dimse.ae_title)
        for one in settings.destinations
    ]


class StowDestination:
    """A DICOMweb service (PS3.18 10.5)."""

    def __init__(self, settings: DestinationSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = settings.name
        self._url = str(settings.dicomweb_url).rstrip("/")
        password, token = settings.password, settings.bearer_token
        headers = {"Accept": "application/dicom+json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._client = {
            "auth": (settings.username, password.get_secret_value()) if settings.username and password else None,
            "headers": headers,
            "timeout": settings.timeout_seconds,
            "verify": True if settings.ca_file is None else ssl.create_default_context(cafile=settings.ca_file),
            "transport": transport,
        }

    async def send(self, files: Sequence[Path]) -> None:
        """Send Part 10 files in one request. Raises DeliveryFailed."""
        boundary = uuid.uuid4().hex
        media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        response = await self._request(
            "POST", "/studies", content=write_parts(files, boundary), headers={"Content-Type": media_type}
        )
        if response.status_code in (200, 202):
            failed = _failures(response)
            if failed:
                code = f"{failed[0]:04X}"
                raise DeliveryFailed(
                    f"It refused an object ({code}).", code=f"stow_{code}", permanent=_is_final(failed)
                )
            return
        failed = _failures(response) if response.status_code == 409 else []
        permanent = response.status_code in _REFUSED and (not failed or _is_final(failed))
        raise DeliveryFailed("It refused the request.", code=f"http_{response.status_code}", permanent=permanent)

    async def check(self) -> None:
        """Search for one study. Raises DeliveryFailed."""
        response = await self._request("GET", "/studies", params={"limit": 1})
        if response.status_code not in (200, 204):
            raise DeliveryFailed("It refused the request.", code=f"http_{response.status_code}")

    async def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            async with httpx.AsyncClient(**self._client) as client:  # type: ignore[arg-type]
                headers = {**arguments.pop("headers", {}), **tracing.headers()}
                return await client.request(method, f"{self._url}{path}", headers=headers, **arguments)
        except httpx.TimeoutException as error:
            raise DeliveryFailed("It did not answer in time.", code="timeout") from error
        except httpx.HTTPError as error:
            raise DeliveryFailed("It could not be reached.", code="unreachable") from error


def _failures(response: httpx.Response) -> list[int]:
    """Failure reasons of a STOW-RS response; none where it has no body that can be read."""
    try:
        body = response.json()
        body = body[0] if isinstance(body, list) and body else body
        items = [*body.get("00081198", {}).get("Value", []), *body.get("0008119A", {}).get("Value", [])]
        return [int(item.get("00081197", {}).get("Value", [0])[0]) for item in items]
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):
        return []


def _is_final(reasons: Sequence[int]) -> bool:
    """Whether a refusal will be the same the next time: all but want of room and failures while processing."""
    return all(
        reason & 0xFF00 != FailureReason.OUT_OF_RESOURCES and reason != FailureReason.PROCESSING_FAILURE
        for reason in reasons
    )


class DimseDestination:
    """An application entity that takes C-STORE (PS3.4 B)."""

    def __init__(self, settings: DestinationSettings, calling: str) -> None:
        self.name = settings.name
        self._settings = settings
        self._calling = settings.calling_ae_title or calling

    async def send(self, files: Sequence[Path]) -> None:
        """Send Part 10 files over one association. Raises DeliveryFailed."""
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
        for dataset in datasets:
            entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = self._associate(entity)
        try:
            accepted = {context.abstract_syntax for context in association.accepted_contexts}
            for dataset in datasets:
                if stopped.is_set():
                    return
                if dataset.SOPClassUID not in accepted:
                    raise DeliveryFailed("It takes no such SOP class.", code="dimse_no_context", permanent=True)
                _check(association.send_c_store(dataset))
        finally:
            association.release()

    def _echo(self) -> None:
        entity = self._entity()
        entity.add_requested_context(_VERIFICATION)
        association = self._associate(entity)
        try:
            _check(association.send_c_echo())
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
        raise DeliveryFailed("It could not be reached.", code="unreachable")


def _check(status: Any) -> None:
    code = status.get("Status")
    if code is None:
        raise DeliveryFailed("It broke off the association.", code="dimse_aborted")
    # PS3.4 B.2.3: 0000 and the warnings B000, B006, B007 mean that it is stored.
    if code != 0x0000 and code & 0xF000 != 0xB000:
        raise DeliveryFailed("It refused an object.", code=f"dimse_{code:04X}", permanent=_is_final([code]))
