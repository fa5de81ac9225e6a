"""Whether everybody is let in: decided once at the start, and never opened by what happens to the file of keys."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import Unauthenticated, Unavailable
from app.security.guard import Guard
from app.security.identity import ANONYMOUS, Pseudonyms, Scope
from app.security.keys import Keys
from app.settings import Settings


def guard_of(folder: Path, **settings: object) -> Guard:
    chosen = Settings(state_dir=folder, **settings)  # type: ignore[arg-type]
    return Guard(chosen, Pseudonyms.from_state_dir(folder))


def looked_again(guard: Guard) -> Guard:
    """As if a second had passed."""
    guard._keys._checked = float("-inf")
    return guard


async def outcome(guard: Guard, token: str = "") -> str:
    try:
        found = await guard.identify(f"Bearer {token}" if token else "", "")
    except Unauthenticated:
        return "401"
    except Unavailable:
        return "503"
    return "open" if found is ANONYMOUS else "key"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


async def test_without_a_file_loopback_is_open_and_the_first_key_closes_it_for_good(tmp_path: Path, file: Path) -> None:
    guard = guard_of(tmp_path)
    assert await outcome(guard) == "open"
    token = Keys(file).create("a", (Scope.INFER,))
    assert await outcome(looked_again(guard)) == "401"
    assert await outcome(guard, token) == "key"
    file.unlink()
    assert await outcome(looked_again(guard)) == "401"
    assert await outcome(guard, token) == "503"


def gone(file: Path) -> None:
    file.unlink()


def moved(file: Path) -> None:
    file.rename(file.with_suffix(".away"))


def damaged(file: Path) -> None:
    file.write_text('{"keys": [')


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def other_json(file: Path) -> None:
    file.write_text("[]")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_link_in_a_circle(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


HARM = [gone, moved, damaged, emptied, other_json, a_folder, a_link_in_a_circle]


@pytest.mark.parametrize("harm", HARM)
async def test_a_file_that_cannot_be_read_lets_nobody_in_until_it_can(
    tmp_path: Path, file: Path, harm: Callable[[Path], None]
) -> None:
    token = Keys(file).create("a", (Scope.INFER,))
    whole = file.read_bytes()
    guard = guard_of(tmp_path)
    assert await outcome(guard, token) == "key"
    harm(file)
    for _ in range(3):
        # Every request, not only the one that found it out.
        assert await outcome(guard) == "401"
        assert await outcome(looked_again(guard), token) == "503"
        assert await outcome(guard, token) == "503"
    file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
    file.write_bytes(whole)
    assert await outcome(looked_again(guard), token) == "key"
    assert await outcome(guard) == "401"


@pytest.mark.parametrize("harm", [damaged, emptied, other_json, a_folder, a_link_in_a_circle])
async def test_a_damaged_file_at_the_start_is_no_open_door(
    tmp_path: Path, file: Path, harm: Callable[[Path], None]
) -> None:
    Keys(file).create("a", (Scope.INFER,))
    harm(file)
    guard = guard_of(tmp_path)
    assert not guard.open
    assert await outcome(guard) == "401"
    assert await outcome(guard, "cxr_a_b") == "503"


async def test_revoking_the_last_key_opens_nothing_not_even_after_a_restart(tmp_path: Path, file: Path) -> None:
    token = Keys(file).create("a", (Scope.ADMIN,))
    guard = guard_of(tmp_path)
    assert await outcome(guard, token) == "key"
    Keys(file).revoke(token.split("_")[1])
    assert [await outcome(looked_again(guard), token), await outcome(guard)] == ["401", "401"]
    again = guard_of(tmp_path)
    assert [await outcome(again, token), await outcome(again)] == ["401", "401"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "open"),
        ({"host": "0.0.0.0"}, "401"),
        ({"auth": {"mode": "required"}}, "401"),
        ({"auth": {"mode": "off"}, "host": "0.0.0.0"}, "open"),
    ],
)
async def test_the_mode_decides_where_there_was_never_a_file(
    tmp_path: Path, settings: dict[str, object], expected: str
) -> None:
    assert await outcome(guard_of(tmp_path, **settings)) == expected


@pytest.mark.parametrize("kind", ["link to nowhere", "named and not there", "removed while stopped", "deep"])
async def test_a_start_without_the_file_of_keys_that_was_meant_is_closed(settings: Settings, kind: str) -> None:
    settings.state_dir.mkdir(parents=True)
    file = settings.keys_file
    if kind == "link to nowhere":
        file.symlink_to(settings.state_dir / "nowhere.json")
    elif kind == "named and not there":
        named = settings.auth.model_copy(update={"keys_file": settings.state_dir / "mnt" / "keys.json"})
        settings = settings.model_copy(update={"auth": named})
    elif kind == "removed while stopped":
        Keys(file).create("a", (Scope.ADMIN,))
        file.unlink()
    else:
        file.write_text("[" * 100_000)
    guard = Guard(settings, Pseudonyms(b"secret"))
    assert not guard.open
    with pytest.raises(Unauthenticated):
        await guard.identify("", "")
    with pytest.raises((Unauthenticated, Unavailable)):
        await guard.identify("Bearer cxr_a_b", "")
