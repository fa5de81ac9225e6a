"""The service as the command line uses it: a thin HTTP client."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TIMEOUT = httpx.Timeout(300.0, connect=5.0)


class ServiceError(Exception):
    """The service refused or could not be reached; the message is for the user."""


@dataclass(frozen=True)
class Client:
    """Calls a running service at `url`."""

    url: str
    key: str | None = None

    def report(self, file: Path, **fields: Any) -> dict[str, Any]:
        """A draft report on the radiograph in `file`."""
        return self._post("/v1/reports", files={"image": file.read_bytes()}, data=_given(fields))

    def answer(self, file: Path, questions: list[str], **fields: Any) -> dict[str, Any]:
        """Answers about the radiograph in `file`."""
        data = {**_given(fields), "question": questions}
        return self._post("/v1/answers", files={"image": file.read_bytes()}, data=data)

    def findings(self, file: Path) -> dict[str, Any]:
        """The findings of the radiograph in `file`, with a probability each."""
        return self._post("/v1/findings", files={"image": file.read_bytes()})

    def evidence(self, file: Path, accept: str, **fields: Any) -> bytes:
        """The map of what a statement, or the answer to a question, depends on, as the media type `accept`."""
        response = self._send("/v1/evidence", accept=accept, files={"image": file.read_bytes()}, data=_given(fields))
        if response.is_error or not response.headers.get("content-type", "").startswith(accept):
            self._body(response)
            raise ServiceError(f"What answers at {self.url} is not this service.")
        return response.content

    def draw(self, prompt: str, output_format: str = "png", **fields: Any) -> tuple[bytes, dict[str, Any]]:
        """A radiograph of what `prompt` describes: the file and the rest of the response."""
        body = {"prompt": prompt, "output_format": output_format, **_given(fields)}
        found = self._post("/v1/images/generations", json=body)
        image = found.pop("data")[0]
        return base64.b64decode(image.pop("b64_json")), {**found, **image}

    def verify(self, file: Path) -> dict[str, Any]:
        """Whether the picture in `file` was drawn by the service."""
        return self._post("/v1/images/verify", files={"image": file.read_bytes()})

    def _post(self, path: str, **arguments: Any) -> dict[str, Any]:
        return self._body(self._send(path, **arguments))

    def _send(self, path: str, accept: str | None = None, **arguments: Any) -> httpx.Response:
        if self.key and not self.key.isascii():
            raise ServiceError("The API key has characters that no key has.")
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if accept is not None:
            headers["Accept"] = accept
        try:
            return httpx.post(self.url.rstrip("/") + path, timeout=TIMEOUT, headers=headers, **arguments)
        except UnicodeEncodeError as error:
            # The shell's bytes, as Python keeps what it cannot decode.
            raise ServiceError("A text holds bytes that are not UTF-8.") from error
        except httpx.ReadTimeout as error:
            raise ServiceError(f"The service at {self.url} did not answer in time.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceError(f"No service answers at {self.url}: start one with `cxr serve`.") from error

    def _body(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body: dict[str, Any] = response.json()
        except ValueError as error:
            raise ServiceError(f"The service answered {response.status_code} without a body.") from error
        if not isinstance(body, dict):
            raise ServiceError(f"What answers at {self.url} is not this service.")
        if response.is_error:
            problem = body.get("error", body)
            raise ServiceError(str(problem.get("message") or problem.get("detail") or response.status_code))
        return body


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
