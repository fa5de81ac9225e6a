"""One instance in several states, and what the database holds of them."""

import io
from typing import Any

import sqlalchemy as sa
from pydicom.uid import generate_uid

from app.store.apart import all_apart
from app.store.tables import instances, jobs, studies
from tests.support.ingest import Held
from tests.support.studies import instance, parsed


def states(*changes: dict[str, Any]) -> list[bytes]:
    """One instance in several states."""
    uids = {"SOPInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    return [instance(**{**uids, **change}) for change in changes]


def rows(held: Held) -> list[Any]:
    """What is held."""
    with held.database.reading() as connection:
        return list(connection.execute(sa.select(instances)))


def study(held: Held) -> Any:
    """The one study."""
    with held.database.reading() as connection:
        return connection.execute(sa.select(studies)).one()


def apart(held: Held) -> list[Any]:
    """What is kept apart."""
    with held.database.reading() as connection:
        return list(all_apart(connection))


def finish_jobs(held: Held) -> None:
    """Let all jobs be done, and their revisions closed."""
    with held.database.transaction() as connection:
        connection.execute(sa.update(jobs).values(state="done"))
        connection.execute(sa.update(studies).values(job=None))


def changed(data: bytes, **attributes: Any) -> bytes:
    """A file with other attributes; None removes one."""

    dataset = parsed(data)
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
