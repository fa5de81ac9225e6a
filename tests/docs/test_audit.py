"""docs/audit.md tells the events as the code has them."""

from app.doc_tables import rewritten
from app.security.audit.events import KINDS, Kind
from app.security.audit.table import tables
from tests.support.service import ROOT

PAGE = ROOT / "docs" / "audit.md"


def test_the_table_of_events_is_what_the_code_says() -> None:
    """Mended by `python -m app.security.audit.table docs/audit.md`."""
    assert PAGE.read_text() == rewritten(PAGE.read_text(), tables())


def test_every_kind_of_event_is_described() -> None:
    assert set(KINDS) == set(Kind)
