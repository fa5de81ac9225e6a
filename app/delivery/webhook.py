"""Signed messages to another service, after the Standard Webhooks specification (version 1)."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from app.errors import DeliveryFailed
from app.settings import WebhookSettings
from app.settings.studies import signing_key
from app.telemetry import tracing

_RETRIED = {408, 409, 425, 429}


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The `webhook-signature` of a message: v1, HMAC-SHA256 over id, timestamp and body, joined by dots."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(signing_key(secret), signed, hashlib.sha256).digest()).decode()


class Webhook:
    """Posts events to one URL."""

    def __init__(self, settings: WebhookSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = str(settings.url)
        self._secret = settings.secret.get_secret_value() if settings.secret else None
        self._timeout = settings.timeout_seconds
        self._transport = transport

    @classmethod
    def from_settings(cls, settings: WebhookSettings) -> "Webhook | None":
        """The webhook that is configured, if any."""
        return cls(settings) if settings.url else None

    async def send(self, event: str, data: Mapping[str, Any], message_id: str) -> None:
        """Post one event; receivers know a repeated message by its id. Raises DeliveryFailed."""
        timestamp = str(int(time.time()))
        body = json.dumps({"type": event, "timestamp": timestamp, "data": data}).encode()
        headers = {"Content-Type": "application/json", "webhook-id": message_id, "webhook-timestamp": timestamp}
        headers |= tracing.headers()
        if self._secret is not None:
            headers["webhook-signature"] = signature(self._secret, message_id, timestamp, body)
        try:
            async with httpx.AsyncClient(timeout=self._timeout, transport=self._transport) as client:
                status = (await client.post(self._url, content=body, headers=headers)).status_code
        except httpx.HTTPError as error:
            raise DeliveryFailed("The webhook could not be reached.", code="unreachable") from error
        if status >= 300:
            permanent = status < 500 and status not in _RETRIED
            raise DeliveryFailed("The webhook refused the event.", code=f"http_{status}", permanent=permanent)
