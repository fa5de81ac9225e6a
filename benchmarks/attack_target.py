"""The service under attack, and what an attack is: an input in words, made before it is measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import httpx

from benchmarks import hostile
from benchmarks.instances import instance
from benchmarks.peer import VERIFICATION, peer

_PIECE = 1_000_000
_OPENING = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
_HEADERS = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}


@dataclass
class Target:
    """The service under attack; `sent` is counted in bytes."""

    url: str
    dimse: int
    sent: int = 0
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=300.0, trust_env=False))

    def warm_up(self) -> None:
        """Do once what allocates for good."""
        self.stow(instance())
        self.stow(hostile.deflated_bomb(1))
        with peer(self.dimse) as one:
            one.associate(abstract=VERIFICATION)
            one.echo()

    def stow(self, data: bytes) -> str:
        """Store one instance."""
        # In pieces: the client copies what is left of one each time the system has taken some of it.
        pieces = (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))
        return self.post(chain((_OPENING,), pieces, (b"\r\n--b--\r\n",)))

    def post(self, body: Iterator[bytes]) -> str:
        """Store what a body holds."""

        def counted() -> Iterator[bytes]:
            for chunk in body:
                self.sent += len(chunk)
                yield chunk

        try:
            response = self.client.post(f"{self.url}/dicom-web/studies", content=counted(), headers=_HEADERS)
        except httpx.TransportError as error:
            return f"closed ({type(error).__name__})"
        if response.headers["content-type"] != "application/dicom+json":
            return f"{response.status_code} {response.json().get('code')}"
        found = response.json()
        failed = [*found.get("00081198", {}).get("Value", []), *found.get("0008119A", {}).get("Value", [])]
        reasons = dict.fromkeys(f"{item['00081197']['Value'][0]:04X}" for item in failed)
        return " ".join((str(response.status_code), *list(reasons)[:3]))


Send = Callable[[Target], str]
"""Sends an attack; returns the answer in words."""
Prepare = Callable[[], Send]


@dataclass(frozen=True)
class Attack:
    """An input in words, what makes it ready to be sent, and how many requests it is."""

    what: str
    prepare: Prepare
    requests: int = 1
