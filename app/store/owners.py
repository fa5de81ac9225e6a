"""Whose a study is: who handed its first instance over, and whom that makes it visible to."""

from dataclasses import dataclass

import sqlalchemy as sa

from app.settings import DEFAULT_TENANT
from app.store.tables import studies


@dataclass(frozen=True)
class Owner:
    """Who hands an instance over. `id` is that of a key, of a token or of an AE title, None where nobody knows."""

    id: str | None = None
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True)
class Viewer:
    """Which studies a client sees: a tenant's, and of those only what `owner` has sent. None: all."""

    tenant: str | None = None
    owner: str | None = None

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """The same as a condition on the rows of studies; those of the releases before are the default tenant's."""
        wanted = []
        if self.tenant is not None:
            wanted.append(sa.func.coalesce(studies.c.tenant, DEFAULT_TENANT) == self.tenant)
        if self.owner is not None:
            wanted.append(studies.c.owner == self.owner)
        return sa.and_(sa.true(), *wanted)

    @property
    def studies(self) -> sa.Select[tuple[str]]:
        """Study Instance UIDs of what the client sees."""
        return sa.select(studies.c.study_uid).where(self.condition)


EVERYTHING = Viewer()
NOBODY = Owner()
