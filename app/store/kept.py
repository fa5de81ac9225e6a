"""Answers that are kept for a while: under a name that only their client knows, sealed by that name.

A row tells nothing of what it holds or for whom: its id is an HMAC of the name, and its data is sealed with a key that
the name is part of (AES-256-GCM, NIST SP 800-38D). Without the name neither the database nor its copies can be read.
"""

import hashlib
import hmac
import os
from enum import Enum

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import OutOfSpace
from app.store.database import Database
from app.store.tables import kept

_NONCE_BYTES = 12


class Claim(Enum):
    """What came of asking for a name."""

    OURS = "nobody has it: make the answer, then `keep` or `release` it"
    UNDER_WAY = "somebody makes the answer at the moment"
    OTHER = "it stands for another request"


class KeptAnswers:
    """What is kept, for the event loop. Times are the database's: replicas share what is kept."""

    def __init__(self, database: Database, secret: bytes, max_bytes: int) -> None:
        """`secret` is the installation's; with `max_bytes` kept, nothing new is claimed."""
        self._database = database
        self._secret = secret
        self._max_bytes = max_bytes

    async def claim(self, name: str, digest: str, seconds: float) -> Claim | bytes:
        """The answer that is kept under `name`, or whose it is to make. `digest` is that of the request.

        A claim lasts `seconds`: whoever made it and is gone by then loses it. Raises OutOfSpace.
        """

        def ask(connection: sa.Connection) -> Claim | bytes:
            now, id_ = self._database.now(connection), self._id(name)
            connection.execute(sa.delete(kept).where(kept.c.id == id_, kept.c.expires <= now))
            found = connection.execute(sa.select(kept.c.digest, kept.c.data).where(kept.c.id == id_)).one_or_none()
            if found is not None and found.digest != digest:
                return Claim.OTHER
            if found is not None:
                return Claim.UNDER_WAY if found.data is None else self._opened(name, found.data)
            self._check_room(connection)
            row = {"id": id_, "digest": digest, "data": None, "bytes": 0, "expires": now + seconds}
            added = self._database.insert_new(connection, kept, [row])
            return Claim.OURS if added else Claim.UNDER_WAY

        return await self._database.write(ask)

    async def keep(self, name: str, data: bytes, seconds: float, digest: str = "") -> None:
        """Keep an answer under a name, in the place of its claim. Raises OutOfSpace, SQLAlchemyError."""

        def put(connection: sa.Connection) -> None:
            id_ = self._id(name)
            connection.execute(sa.delete(kept).where(kept.c.id == id_))
            self._check_room(connection)
            sealed = self._sealed(name, data)
            expires = self._database.now(connection) + seconds
            row = {"id": id_, "digest": digest, "data": sealed, "bytes": len(sealed), "expires": expires}
            connection.execute(sa.insert(kept), row)

        await self._database.write(put)

    async def release(self, name: str) -> None:
        """Give a claim up that came to nothing."""

        def give_up(connection: sa.Connection) -> None:
            connection.execute(sa.delete(kept).where(kept.c.id == self._id(name), kept.c.data.is_(None)))

        await self._database.write(give_up)

    async def find(self, name: str) -> bytes | None:
        """What is kept under a name, if it has not expired."""

        def look(connection: sa.Connection) -> bytes | None:
            now = self._database.now(connection)
            mine = (kept.c.id == self._id(name), kept.c.expires > now, kept.c.data.is_not(None))
            data = connection.execute(sa.select(kept.c.data).where(*mine)).scalar_one_or_none()
            return None if data is None else self._opened(name, data)

        return await self._database.read(look)

    def _check_room(self, connection: sa.Connection) -> None:
        held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(kept.c.bytes), 0))).scalar_one()
        if held >= self._max_bytes:
            raise OutOfSpace("There is no room to keep an answer at the moment.", code="no_room_to_keep")

    def _id(self, name: str) -> str:
        return self._keyed("id", name).hex()

    def _keyed(self, purpose: str, name: str) -> bytes:
        return hmac.new(self._secret, f"{purpose} {name}".encode(), hashlib.sha256).digest()

    def _sealed(self, name: str, data: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._keyed("seal", name)).encrypt(nonce, data, None)

    def _opened(self, name: str, sealed: bytes) -> bytes:
        return AESGCM(self._keyed("seal", name)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)


def remove_expired(database: Database, connection: sa.Connection) -> int:
    """Remove what has expired; returns how many."""
    now = database.now(connection)
    return connection.execute(sa.delete(kept).where(kept.c.expires <= now)).rowcount
