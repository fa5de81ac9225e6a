"""docs/dicom-conformance.md tells what the code does, in tables and in the sentences around them."""

import re

from app.cli.conformance import tables
from app.dicom.status import MEANINGS, FailureReason, WarningReason
from app.dicom.uids import storage_classes
from app.doc_tables import rewritten
from app.ingest.contexts import accepted_contexts
from app.settings import DimseSettings, LimitsSettings, StudySettings
from app.store.search_keys import KEYS
from tests.support.service import ROOT

PAGE = ROOT / "docs" / "dicom-conformance.md"
TEXT = PAGE.read_text()


def test_the_tables_are_what_the_code_says() -> None:
    """Mended by `python -m app.cli.conformance docs/dicom-conformance.md`."""
    assert rewritten(TEXT, tables()) == TEXT


def test_every_status_has_a_meaning_and_every_setting_a_description() -> None:
    assert set(MEANINGS) == {*FailureReason, *WarningReason}
    assert [name for name, field in DimseSettings.model_fields.items() if not field.description] == []


def test_the_classes_are_those_of_the_contexts_and_the_keys_those_of_searches() -> None:
    contexts = {str(one.abstract_syntax) for one in accepted_contexts()[1:]}
    assert contexts == set(storage_classes()) == set(re.findall(r"\| (1\.2\.840[0-9.]+) \|", tables()["contexts"]))
    assert {line.split(" | ")[1] for line in tables()["keys"].splitlines()[2:]} == KEYS


def test_settings_that_sentences_name_have_the_defaults_that_they_say() -> None:
    groups = {"STUDY": StudySettings, "LIMITS": LimitsSettings, "DIMSE": DimseSettings}
    named = re.findall(r"`CXR_([A-Z]+)__([A-Z_]+)` \((\d+)\)", TEXT)
    assert len(named) >= 2
    for group, name, value in named:
        assert groups[group].model_fields[name.lower()].default == float(value), name
