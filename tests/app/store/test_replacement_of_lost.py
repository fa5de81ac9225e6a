"""What is held no longer, or damaged, when another state of it arrives."""

import pytest
import sqlalchemy as sa

from app.store.tables import instances
from tests.support.ingest import Held
from tests.support.states import apart, finish_jobs, rows, states


@pytest.mark.parametrize("lost", ["missing", "damaged", "removed"])
def test_what_is_lost_or_removed_is_replaced_by_what_differs_and_nothing_of_it_is_kept_apart(
    held: Held, lost: str
) -> None:
    before, after = states({}, {"ViewPosition": "PA"})
    held.accept(before)
    finish_jobs(held)
    row = rows(held)[0]
    if lost == "damaged":
        held.spool.path(row.file).write_bytes(b"rubbish")
    else:
        held.spool.path(row.file).unlink()
    if lost == "removed":
        with held.database.transaction() as connection:
            connection.execute(sa.update(instances).values(file=None))
    assert held.accept(after).outcome == "replaced"
    assert held.spool.path(rows(held)[0].file).read_bytes() == after
    assert len(held.enqueued) == 2
    assert apart(held) == []
    assert held.spool.names() == {rows(held)[0].file}
    assert len(held.spool.set_aside_files()) == (lost == "damaged")
