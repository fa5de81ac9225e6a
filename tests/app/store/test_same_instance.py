"""The same instance in another encoding, or as a lossy copy: a success, and the first is kept."""

from pathlib import Path

import pytest
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSNearLossless,
    RLELossless,
)

from app.settings import OnChange
from tests.app.ingest.test_transfer_syntaxes import WRITTEN, written
from tests.support.ingest import Held
from tests.support.states import apart, finish_jobs, rows
from tests.support.studies import instance

_LOSSY = (JPEG2000, JPEGLSNearLossless)


def _keyword(syntax: UID) -> str:
    return UID(syntax).keyword


@pytest.mark.parametrize("first", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless], ids=_keyword)
@pytest.mark.parametrize("again", WRITTEN, ids=_keyword)
def test_the_same_instance_in_another_encoding_is_a_success_and_the_first_is_kept(
    held: Held, first: UID, again: UID
) -> None:
    base = instance(ImageType=["ORIGINAL", "PRIMARY"])
    assert held.accept(written(first, base)).failure is None
    finish_jobs(held)
    kept = rows(held)
    receipt = held.accept(written(again, base))
    assert (receipt.failure, receipt.warning, receipt.opened) == (None, None, None)
    assert receipt.outcome == ("lossy_copy" if again in _LOSSY else "stored")
    assert rows(held) == kept
    assert apart(held) == []
    assert held.spool.names() == {kept[0].file}
    assert len(held.enqueued) == 1


def test_the_same_instance_in_many_encodings_at_once_is_stored_once(held: Held) -> None:
    base = instance(ImageType=["ORIGINAL", "PRIMARY"])
    promised = [held.hand_over(written(syntax, base)) for syntax in WRITTEN if syntax not in _LOSSY]
    receipts = [one.result(60) for one in promised]
    assert {(one.failure, one.warning) for one in receipts} == {(None, None)}
    assert len(rows(held)) == len(held.enqueued) == 1
    assert held.spool.names() == {rows(held)[0].file}


@pytest.mark.parametrize("on_change", ["keep", "replace_same_patient", "replace"])
def test_another_encoding_is_the_same_under_every_policy(tmp_path: Path, on_change: OnChange) -> None:
    held = Held(tmp_path, on_change=on_change)
    held.ingestor.start()
    base = instance(ImageType=["ORIGINAL", "PRIMARY"])
    held.accept(base)
    assert held.accept(written(RLELossless, base)).outcome == "stored"
    held.close()
