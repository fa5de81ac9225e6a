"""API keys: what is kept of them, when they count."""

import time
from pathlib import Path

import pytest

from app.errors import CxrError, NotFound
from app.security.identity import Identity, Scope
from app.security.keys import Keys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.json"


@pytest.fixture
def keys(file: Path) -> Keys:
    return Keys(file)


def found(file: Path, token: str) -> Identity:
    identity = Keys(file).find(token)
    assert identity is not None
    return identity


def test_a_key_is_known_by_its_token_and_the_file_holds_only_a_hash(keys: Keys, tmp_path: Path) -> None:
    token = keys.create("PACS", (Scope.DICOM,), tokens_per_day=5)
    found = keys.list()[0].identity()
    assert keys.find(token) == found
    assert found.scopes == {Scope.DICOM}
    assert found.allowance.tokens_per_day == 5
    file = tmp_path / "state" / "keys.json"
    assert token.rpartition("_")[2] not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("change", ["x", "", "cxr_", "cxr_000000000000_abc", "\x00", "cxr__"])
def test_any_other_token_is_unknown(keys: Keys, change: str) -> None:
    token = keys.create("a", (Scope.INFER,))
    assert keys.find(token + "x") is None
    assert keys.find(change) is None


def test_an_expired_key_is_unknown(keys: Keys) -> None:
    assert keys.find(keys.create("a", (Scope.INFER,), time.time() - 1)) is None
    assert keys.find(keys.create("b", (Scope.INFER,), time.time() + 60)) is not None or keys.list()


def test_rotation_gives_a_new_key_and_ends_the_old_one(keys: Keys) -> None:
    old = keys.create("a", (Scope.INFER, Scope.METRICS), requests_per_minute=3)
    identity = old.split("_")[1]
    new = keys.rotate(identity, overlap_seconds=60)
    by_id = {key.id: key for key in keys.list()}
    assert keys.find(old) is not None
    assert keys.find(new) is not None
    assert by_id[identity].expires is not None
    assert by_id[identity].expires == pytest.approx(time.time() + 60, abs=5)
    assert by_id[new.split("_")[1]].scopes == (Scope.INFER, Scope.METRICS)
    assert by_id[new.split("_")[1]].requests_per_minute == 3
    keys.rotate(identity, overlap_seconds=0)
    keys.list()
    assert keys.find(old) is None


def test_a_revoked_key_is_unknown_to_a_service_that_had_it_in_memory(keys: Keys, tmp_path: Path) -> None:
    token = keys.create("a", (Scope.INFER,))
    assert keys.list()
    Keys(tmp_path / "state" / "keys.json").revoke(token.split("_")[1])
    keys._checked = 0.0
    assert keys.find(token) is None
    with pytest.raises(NotFound):
        keys.revoke("none")


def test_a_file_that_is_no_keys_file_is_refused(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "keys.json").write_text('{"keys": [{"id": 1}]}')
    with pytest.raises(CxrError, match="cannot be read"):
        keys.list()


def test_a_key_carries_its_tenant_and_its_file_is_readable_to_the_release_before(keys: Keys, file: Path) -> None:
    plain, ward = keys.create("a", (Scope.DICOM,)), keys.create("b", (Scope.DICOM_READ,), tenant="ward-3")
    fresh = keys.rotate(ward.split("_")[1], 60.0)
    assert [found(file, token).tenant for token in (plain, ward, fresh)] == ["default", "ward-3", "ward-3"]
    assert file.read_text().count("tenant") == 2
    with pytest.raises(ValueError, match="tenant"):
        keys.create("c", (Scope.DICOM,), tenant="a b")


@pytest.mark.parametrize("part", [Scope.DICOM_STORE, Scope.DICOM_READ, Scope.JOBS_MANAGE])
def test_the_scope_of_the_first_release_is_its_three_parts(keys: Keys, file: Path, part: Scope) -> None:
    whole, one = keys.create("a", (Scope.DICOM,)), keys.create("b", (part,))
    assert found(file, whole).may(part)
    assert found(file, one).may(part)
    assert not found(file, one).may(Scope.DICOM)
    assert not found(file, whole).may(Scope.INFER)
