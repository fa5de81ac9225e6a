"""The findings that a job keeps, and the order by priority on both kinds of databases."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.dicom.probabilities import Abnormal, Priority
from app.store.database import Database
from app.store.findings import UNKNOWN, StoredFindings
from app.store.jobs import Jobs
from app.store.record import column_values
from app.store.records import Run
from app.store.tables import jobs
from tests.support.findings import STORED
from tests.support.rows import job_row


def found(probability: float | None, priority: Priority | None = None, *, calibrated: bool = True) -> StoredFindings:
    abnormal = None if probability is None else Abnormal(probability, calibrated)
    return StoredFindings("model", "1", abnormal=abnormal, priority=priority)


async def test_findings_come_back_as_they_were_written(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(sa.insert(jobs), [job_row("a", "running")])
    await Jobs(database).update(Run("a", 1), findings=STORED, triage=STORED.place)
    assert (await Jobs(database).get("a")).findings == STORED


def test_keys_of_a_newer_release_are_ignored() -> None:
    value: dict[str, Any] = column_values({"findings": STORED})["findings"]
    value["findings"] = [{**item, "new": 1, "code": {**item["code"], "new": 1}} for item in value["findings"]]
    assert StoredFindings.from_json({**value, "new": 1, "abnormal": {**value["abnormal"], "new": 1}}) == STORED


async def test_by_priority_the_most_urgent_come_first_and_what_is_unknown_stays_above_what_is_normal(
    database: Database,
) -> None:
    places = {
        "urgent-low": found(0.3, "urgent"),
        "stat": found(0.99, "stat"),
        "certain": found(1.0, "routine"),
        "asap": found(0.8, "asap"),
        "urgent-high": found(0.4, "urgent"),
        "no-priority": found(0.7),
        "normal": found(0.1, "routine"),
        "not-abnormal": found(0.49),
    }
    with database.transaction() as connection:
        rows = [job_row(name, "done", triage=one.place) for name, one in places.items()]
        # As a release before writes them, and jobs that nobody has read.
        connection.execute(sa.insert(jobs), rows)
        connection.execute(sa.insert(jobs), [job_row("old", "done", 2.0), job_row("unread", "running", 3.0)])
    expected = ["stat", "asap", "urgent-high", "urgent-low", "certain", "no-priority"]
    expected += ["unread", "old", "not-abnormal", "normal"]
    by_priority, total = await Jobs(database).find(order="priority")
    assert ([job.id for job in by_priority], total) == (expected, 10)
    newest, _ = await Jobs(database).find(limit=2)
    assert [job.id for job in newest] == ["unread", "old"]


@pytest.mark.parametrize("order", ["newest", "priority"])
async def test_pages_of_equals_have_each_job_once(database: Database, order: Any) -> None:
    names = [f"{number:02}" for number in range(30)]
    with database.transaction() as connection:
        connection.execute(sa.insert(jobs), [job_row(name, "done") for name in reversed(names)])
    pages = [(await Jobs(database).find(limit=7, offset=offset, order=order))[0] for offset in range(0, 30, 7)]
    assert [job.id for page in pages for job in page] == names


async def test_the_order_by_priority_is_read_from_its_index(database: Database) -> None:
    query = "SELECT id FROM cxr_jobs ORDER BY triage DESC, created DESC, id LIMIT 5"
    explain = "EXPLAIN QUERY PLAN " if "sqlite" in database.url else "EXPLAIN "
    with database.transaction() as connection:
        if "sqlite" not in database.url:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + query))
    assert "cxr_jobs_triage" in plan
    assert "SORT" not in plan.upper()
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (found(0.9, "urgent"), ""),
        (found(0.9), ""),
        (found(0.9, calibrated=False), ""),
        (found(0.9, "urgent", calibrated=False), "follows from a probability that is not calibrated"),
        (StoredFindings("m", "1", withheld="not_calibrated"), "is not calibrated"),
        (StoredFindings("m", "1", withheld="not_offered"), "does not say"),
    ],
)
def test_what_is_uncertain_of_a_priority_is_a_warning(findings: StoredFindings, said: str) -> None:
    assert len(findings.warnings) == bool(said)
    assert said in "".join(findings.warnings)


def test_without_a_probability_a_job_stands_at_a_half() -> None:
    assert (found(None).place, UNKNOWN) == (0.5, 0.5)
