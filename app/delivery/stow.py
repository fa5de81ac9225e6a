"""Results to a DICOMweb service by STOW-RS (PS3.18 10.5)."""

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog
from pydicom import dcmread

from app.delivery.answers import Outcome, is_final, outcome_of
from app.dicom.multipart import write_parts
from app.dicom.native_model import json_datasets, values_of
from app.dicom.store_response import StoreResponse, read_store_response
from app.errors import DeliveryFailed, MalformedInput
from app.settings import DestinationSettings
from app.telemetry import tracing

log = structlog.get_logger(__name__)

# These statuses are final. 401 and 403 are retried: the PACS may be reconfigured.
_REFUSED = {400, 404, 405, 406, 409, 410, 413, 415, 422}
_PASSING = {408, 425, 429}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SOP_INSTANCE_UID = "00080018"
# Bytes of an answer: one about a report has a thousand.
_LONGEST_ANSWER = 1_000_000


@dataclass(frozen=True)
class _Answer:
    """An HTTP response; `body` is None where it is too long or cannot be decoded."""

    status: int
    body: bytes | None

    @property
    def stored(self) -> StoreResponse | None:
        """The response payload (PS3.18 10.5.3), None where there is none that can be read."""
        try:
            return read_store_response(self.body) if self.body else None
        except MalformedInput:
            return None


class StowDestination:
    """A DICOMweb service."""

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
        """Send Part 10 files in one request. What the answer leaves open is looked up. Raises DeliveryFailed."""
        sent = await asyncio.to_thread(_places, files)
        boundary = uuid.uuid4().hex
        media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        # Closed here: a client that is cancelled leaves the body, and its open file, to the collector.
        async with contextlib.aclosing(write_parts(files, boundary)) as body:
            answer = await self._request("POST", "/studies", content=body, headers={"Content-Type": media_type})
        success = 200 <= answer.status < 300
        if not success and answer.status != 409:
            raise _refused(answer.status, permanent=answer.status in _REFUSED)
        outcome = outcome_of(answer.stored, sent.keys())
        failure = _failure(outcome.refusals, answer.status, success)
        if not outcome.may_be_there:
            raise failure
        try:
            missing = [uid for uid in sorted(outcome.open) if not await self._holds(sent[uid], uid)]
        except DeliveryFailed as error:
            failure.permanent = False  # it is not known; the code stays that of the store
            raise failure from error
        if missing:
            raise failure
        self._log(outcome)

    async def check(self) -> None:
        """Search for one study. Raises DeliveryFailed."""
        answer = await self._request("GET", "/studies", params={"limit": 1})
        if answer.status not in (200, 204):
            raise _refused(answer.status)

    def _log(self, outcome: Outcome) -> None:
        if outcome.there:
            log.info("already there", destination=self.name, objects=len(outcome.there))
        if outcome.open:
            log.info(
                "found at the destination, which had not said so", destination=self.name, objects=len(outcome.open)
            )

    async def _holds(self, series: str, instance: str) -> bool:
        """Whether an object is found: by QIDO-RS in its series, else by its metadata (WADO-RS).

        Raises DeliveryFailed where that cannot be told for now.
        """
        for path, params in (
            (f"{series}/instances", {"SOPInstanceUID": instance}),
            (f"{series}/instances/{instance}/metadata", {}),
        ):
            answer = await self._request("GET", path, params=params)
            if (answer.status >= 500 and answer.status != 501) or answer.status in _PASSING:
                raise _refused(answer.status)
            if answer.status == 200 and _names(answer.body, instance):
                return True
        return False

    async def _request(self, method: str, path: str, **arguments: Any) -> _Answer:
        try:
            async with httpx.AsyncClient(**self._client) as client:  # type: ignore[arg-type]
                headers = {**arguments.pop("headers", {}), **tracing.headers()}
                async with client.stream(method, f"{self._url}{path}", headers=headers, **arguments) as response:
                    return _Answer(response.status_code, await _body(response))
        except httpx.TimeoutException as error:
            raise DeliveryFailed("It did not answer in time.", code="timeout") from error
        except httpx.HTTPError as error:
            raise DeliveryFailed("It could not be reached.", code="unreachable") from error


async def _body(response: httpx.Response) -> bytes | None:
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _LONGEST_ANSWER:
                return None
    except httpx.DecodingError:
        return None
    return body


def _places(files: Sequence[Path]) -> dict[str, str]:
    """The series' path of each SOP Instance UID."""
    headers = [dcmread(file, stop_before_pixels=True, specific_tags=list(_UIDS)) for file in files]
    return {
        str(one.SOPInstanceUID): f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}" for one in headers
    }


def _names(body: bytes | None, instance: str) -> bool:
    """Whether a search's answer holds this instance: a service that does not know a key returns the others too."""
    try:
        return any(instance in values_of(dataset, _SOP_INSTANCE_UID) for dataset in json_datasets(body or b""))
    except MalformedInput:
        return False


def _refused(status: int, permanent: bool = False) -> DeliveryFailed:
    return DeliveryFailed("It refused the request.", code=f"http_{status}", permanent=permanent)


def _failure(refusals: Collection[int], status: int, success: bool) -> DeliveryFailed:
    if not success:
        return _refused(status, permanent=not refusals or is_final(refusals))
    if not refusals:
        return DeliveryFailed("It does not say that it has stored what it was sent.", code="stow_unconfirmed")
    code = f"{next(iter(refusals)):04X}"
    return DeliveryFailed(f"It refused an object ({code}).", code=f"stow_{code}", permanent=is_final(refusals))
