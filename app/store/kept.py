"""Answers that are kept for a while: under a name that only their client knows, sealed by that name.

A row tells nothing of what it holds or for whom: its id is an HMAC of the name, and its data is sealed with a key that
the name is part of (AES-256-GCM, NIST SP 800-38D). Without the name neither the database nor its copies can be read.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import OutOfSpace
from app.store.database import Database
from app.store.tables import kept

_NONCE_BYTES = 12
# A claim that is not renewed is that of a process that is gone.
CLAIM_SECONDS = 15.0
# Of the room for all: one client leaves some to the others.
_SHARE = 0.25


class Claim(Enum):
    """What came of asking for a name."""

    OURS = "nobody has it: make the answer, then `keep` or `release` it"
    UNDER_WAY = "somebody makes the answer at the moment"
    OTHER = "it stands for another request"


class KeptAnswers:
    """What is kept, for the event loop. Times are the database's: replicas share what is kept."""

    def __init__(self, database: Database, secret: bytes, max_bytes: int) -> None:
        """`secret` is the installation's; with `max_bytes` kept, nothing new is claimed, nor by a client with a quarter
        of them.
        """
        self._database = database
        self._secret = secret
        self._max_bytes = max_bytes

    async def claim(self, name: str, digest: str, owner: str, holder: str) -> Claim | bytes:
        """The answer that is kept under `name`, or whose it is to make. `digest` is that of the request, `owner` the
        client, `holder` who makes the answer now, and has to `renew` the claim. Raises OutOfSpace.
        """

        def ask(connection: sa.Connection) -> Claim | bytes:
            now, id_ = self._database.now(connection), self._id(name)
            connection.execute(sa.delete(kept).where(kept.c.id == id_, kept.c.expires <= now))
            found = connection.execute(sa.select(kept.c.digest, kept.c.data).where(kept.c.id == id_)).one_or_none()
            if found is not None and found.digest != digest:
                return Claim.OTHER
            if found is not None:
                return Claim.UNDER_WAY if found.data is None else self._opened(name, found.data)
            self._check_room(connection, owner)
            row = self._row(name, owner, now + CLAIM_SECONDS) | {"digest": digest, "holder": holder}
            added = self._database.insert_new(connection, kept, [row])
            return Claim.OURS if added else Claim.UNDER_WAY

        return await self._database.write(ask)

    async def renew(self, name: str, holder: str) -> None:
        """Keep a claim alive. Raises SQLAlchemyError."""

        def renewed(connection: sa.Connection) -> None:
            until = self._database.now(connection) + CLAIM_SECONDS
            connection.execute(sa.update(kept).where(*self._claimed(name, holder)).values(expires=until))

        await self._database.write(renewed)

    async def keep(self, name: str, owner: str, data: bytes, seconds: float, holder: str | None = None) -> None:
        """Keep an answer under a name: in the place of the holder's claim, unless that is lost, or anew.

        Raises OutOfSpace, SQLAlchemyError.
        """

        def put(connection: sa.Connection) -> None:
            expires = self._database.now(connection) + seconds
            sealed = self._sealed(name, data)
            values = {"data": sealed, "bytes": len(sealed), "expires": expires}
            if holder is not None:
                connection.execute(sa.update(kept).where(*self._claimed(name, holder)).values(values))
                return
            self._check_room(connection, owner)
            connection.execute(sa.insert(kept), self._row(name, owner, expires) | values)

        await self._database.write(put)

    async def release(self, name: str, holder: str) -> None:
        """Give a claim up that came to nothing. Raises SQLAlchemyError."""

        def give_up(connection: sa.Connection) -> None:
            connection.execute(sa.delete(kept).where(*self._claimed(name, holder)))

        await self._database.write(give_up)

    async def check_room(self, owner: str) -> None:
        """Raises OutOfSpace where nothing more is kept for a client."""
        await self._database.read(lambda connection: self._check_room(connection, owner))

    async def find(self, name: str) -> bytes | None:
        """What is kept under a name, if it has not expired."""

        def look(connection: sa.Connection) -> bytes | None:
            now = self._database.now(connection)
            mine = (kept.c.id == self._id(name), kept.c.expires > now, kept.c.data.is_not(None))
            data = connection.execute(sa.select(kept.c.data).where(*mine)).scalar_one_or_none()
            return None if data is None else self._opened(name, data)

        return await self._database.read(look)

    def _check_room(self, connection: sa.Connection, owner: str) -> None:
        held = sa.select(sa.func.coalesce(sa.func.sum(kept.c.bytes), 0))
        mine = held.where(kept.c.owner == self._owner(owner))
        full = connection.execute(held).scalar_one() >= self._max_bytes
        if full or connection.execute(mine).scalar_one() >= self._max_bytes * _SHARE:
            raise OutOfSpace("There is no room to keep an answer at the moment.", code="no_room_to_keep")

    def _row(self, name: str, owner: str, expires: float) -> dict[str, Any]:
        row = {"id": self._id(name), "owner": self._owner(owner), "digest": "", "holder": "", "data": None, "bytes": 0}
        return row | {"expires": expires}

    def _claimed(self, name: str, holder: str) -> Sequence[sa.ColumnElement[bool]]:
        return (kept.c.id == self._id(name), kept.c.holder == holder, kept.c.data.is_(None))

    def _owner(self, owner: str) -> str:
        return self._keyed("owner", owner).hex()

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
