"""The client of the benchmarks: as cheap as it can be, since it shares the service's processors."""

import asyncio
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=1800)


@dataclass(frozen=True)
class Body:
    """A request's body, made once and sent often."""

    path: str
    data: bytes
    content_type: str
    accept: str = "*/*"

    @classmethod
    def from_json(cls, path: str, content: Mapping[str, Any]) -> "Body":
        """A JSON body."""
        return cls(path, json.dumps(content).encode(), "application/json")

    @classmethod
    def from_image(cls, path: str, image: bytes, accept: str = "*/*", **fields: str) -> "Body":
        """A multipart form with an image."""
        boundary = "bench"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'.encode()
        data = b"".join([*parts, head, image, f"\r\n--{boundary}--\r\n".encode()])
        return cls(path, data, f"multipart/form-data; boundary={boundary}", accept)


class Client:
    """Sends bodies to one service; every answer but 200 is an error."""

    def __init__(self, url: str) -> None:
        # Connections that were idle longer are not reused: the server may be about to close them.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2.0)
        self._session = aiohttp.ClientSession(url, connector=connector, timeout=_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, body: Body) -> bytes:
        """The answer's body. Raises RuntimeError for another status than 200."""
        headers = {"Content-Type": body.content_type, "Accept": body.accept}
        async with self._session.post(body.path, data=io.BytesIO(body.data), headers=headers) as response:
            content = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{body.path}: {response.status} {content[:300].decode(errors='replace')}")
            return content

    async def get(self, path: str) -> bytes:
        """The answer's body. Raises RuntimeError for another status than 200 and 204."""
        async with self._session.get(path) as response:
            content = await response.read()
            if response.status not in (200, 204):
                raise RuntimeError(f"{path}: {response.status} {content[:300].decode(errors='replace')}")
            return content

    async def events(self, body: Body) -> list[tuple[float, dict[str, Any]]]:
        """Events of a stream, each with the loop's time at which it came."""
        loop = asyncio.get_running_loop()
        found: list[tuple[float, dict[str, Any]]] = []
        headers = {"Content-Type": body.content_type, "Accept": "text/event-stream"}
        async with self._session.post(body.path, data=io.BytesIO(body.data), headers=headers) as response:
            if response.status != 200:
                raise RuntimeError(f"{body.path}: {response.status}")
            # A line may be longer than the reader's limit: an image in base64.
            buffer = b""
            async for chunk in response.content.iter_any():
                buffer += chunk
                *blocks, buffer = buffer.split(b"\n\n")
                found += [
                    (loop.time(), json.loads(block.split(b"data: ", 1)[1])) for block in blocks if b"data: {" in block
                ]
        return found
