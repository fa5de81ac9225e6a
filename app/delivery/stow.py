"""Results to a DICOMweb service by STOW-RS (PS3.18 10.5)."""

import ssl
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from app.delivery.answers import is_final
from app.dicom.multipart import write_parts
from app.errors import DeliveryFailed
from app.settings import DestinationSettings
from app.telemetry import tracing

# These statuses are final. 401 and 403 are retried: the PACS may be reconfigured.
_REFUSED = {400, 404, 405, 406, 409, 410, 413, 415, 422}


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
                raise DeliveryFailed(f"It refused an object ({code}).", code=f"stow_{code}", permanent=is_final(failed))
            return
        failed = _failures(response) if response.status_code == 409 else []
        permanent = response.status_code in _REFUSED and (not failed or is_final(failed))
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
