"""Times of documents: local, with their offset."""

import datetime
from zoneinfo import ZoneInfo

import pytest

from app.dicom.fhir import diagnostic_report
from tests.support.drafts import MOMENT, WRITERS, Write, draft, source, written


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("stated", "zone", "date", "time", "offset"),
    [
        ("+0900", None, "20261127", "033731", "+0900"),
        ("-0330", ZoneInfo("Asia/Tokyo"), "20261126", "150731", "-0330"),
        ("+0000", ZoneInfo("Asia/Tokyo"), "20261126", "183731", "+0000"),
        ("", ZoneInfo("Asia/Tokyo"), "20261127", "033731", "+0900"),
        ("rubbish", ZoneInfo("America/New_York"), "20261126", "133731", "-0500"),
    ],
)
def test_times_are_those_of_the_source_with_their_offset(
    write: Write, stated: str, zone: datetime.tzinfo | None, date: str, time: str, offset: str
) -> None:
    of = source(**({"TimezoneOffsetFromUTC": stated} if stated else {}))
    found = written(write, of, zone)
    assert (found.ContentDate, found.ContentTime, found.TimezoneOffsetFromUTC) == (date, time, offset)
    assert (found.InstanceCreationDate, found.SeriesTime) == (date, time)
    issued = datetime.datetime.fromisoformat(diagnostic_report(draft(of, zone))["issued"])
    assert issued == MOMENT
    assert issued.strftime("%z") == offset
