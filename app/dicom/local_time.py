"""Local times: a document's dates and times are under the offset that it states (PS3.3 C.12.1.1.8)."""

import datetime
import re

from pydicom.dataset import Dataset

from app.dicom.values import text_of

_OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)")


def zone_of(source: Dataset) -> datetime.tzinfo | None:
    """The time zone that a header states (TimezoneOffsetFromUTC, PS3.3 C.12.1.7), None where it states none."""
    found = _OFFSET.fullmatch(text_of(source, "TimezoneOffsetFromUTC") or "")
    if found is None:
        return None
    offset = datetime.timedelta(hours=int(found[2]), minutes=int(found[3]))
    return datetime.timezone(offset if found[1] == "+" else -offset)


def local(moment: datetime.datetime, source: Dataset, zone: datetime.tzinfo | None) -> datetime.datetime:
    """A moment in the time of the source, or of `zone` where the source states none; None: this machine's."""
    return moment.astimezone(zone_of(source) or zone)


def offset(moment: datetime.datetime) -> str:
    """The offset of a local time as TimezoneOffsetFromUTC has it, whole minutes."""
    return moment.strftime("%z")[:5]
