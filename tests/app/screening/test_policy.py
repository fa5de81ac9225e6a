"""What becomes of a picture that was looked at, for every kind, turn, flag and setting."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.errors import RefusedByScreen
from app.screening import Sight, decide
from app.screening.fake import FRONTAL
from app.screening.policy import NOT_SCREENED, OWN_MODELS_ONLY
from app.settings import ScreenSettings
from models.screen.look import Look
from models.screen.own_models import Comparison
from models.screen.pose import UPRIGHT, Pose

PIXELS = np.arange(16, dtype=np.uint8).reshape(4, 4)
DEFAULT = ScreenSettings()


def look(**values: float) -> Look:
    """A surely upright frontal radiograph but for these."""
    return replace(FRONTAL, **values)


def turned(degrees: int) -> Look:
    """A film that was turned so many degrees anticlockwise."""
    return look(**{"upright": 0.01, f"turned_{degrees}": 0.98})


def test_an_upright_frontal_radiograph_is_taken_as_it_is() -> None:
    screened, changed = decide(PIXELS, Sight(FRONTAL), DEFAULT)
    assert (screened.decision, screened.warnings, changed) == ("accepted", (), False)
    assert screened.pixels is PIXELS
    assert screened.probabilities["frontal"] == 0.999


KINDS = {"not_a_radiograph": "not_a_radiograph", "other_radiograph": "not_chest", "lateral": "not_frontal"}


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
@pytest.mark.parametrize("setting", ["refuse", "warn", "off"])
def test_what_is_no_frontal_radiograph_is_refused_warned_about_or_taken(kind: str, code: str, setting: Any) -> None:
    sight = Sight(look(**{"frontal": 0.02, kind: 0.97}))
    settings = ScreenSettings(**{"lateral" if kind == "lateral" else "not_chest": setting})
    if setting == "refuse":
        with pytest.raises(RefusedByScreen) as refused:
            decide(PIXELS, sight, settings)
        assert refused.value.code == code
        assert refused.value.probabilities[kind] == 0.97
        return
    screened, _ = decide(PIXELS, sight, settings)
    assert len(screened.warnings) == (setting == "warn")
    assert screened.decision == ("warned" if setting == "warn" else "accepted")


def test_a_doubtful_one_is_taken_with_a_warning() -> None:
    screened, _ = decide(PIXELS, Sight(look(frontal=0.7, other_radiograph=0.3)), DEFAULT)
    assert screened.decision == "warned"
    assert "doubtful" in screened.warnings[0]


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_film_that_lies_wrong_is_turned_back(degrees: int, inverted: bool) -> None:
    lying = np.rot90(PIXELS, degrees // 90)
    if inverted:
        lying = 255 - lying
    sight = Sight(replace(turned(degrees), inverted_grey=0.99 if inverted else 0.0))
    screened, changed = decide(lying, sight, DEFAULT)
    assert np.array_equal(screened.pixels, PIXELS)
    assert (screened.decision, changed, len(screened.warnings)) == ("turned", True, 1 + inverted)


@pytest.mark.parametrize(("seen", "code"), [(turned(180), "not_upright"), (look(inverted_grey=0.99), "inverted_grey")])
def test_a_film_that_lies_wrong_is_warned_about_or_refused_where_that_is_set(seen: Look, code: str) -> None:
    screened, changed = decide(PIXELS, Sight(seen), ScreenSettings(lies_wrong="warn"))
    assert (screened.decision, changed) == ("warned", False)
    assert screened.pixels is PIXELS
    with pytest.raises(RefusedByScreen) as refused:
        decide(PIXELS, Sight(seen), ScreenSettings(lies_wrong="refuse"))
    assert refused.value.code == code


@pytest.mark.parametrize("flag", ["mirrored", "cut"])
def test_what_may_be_mirrored_or_cut_is_never_changed_but_warned_about(flag: str) -> None:
    screened, changed = decide(PIXELS, Sight(look(**{flag: 0.99})), DEFAULT)
    assert (screened.decision, changed, len(screened.warnings)) == ("warned", False, 1)


@pytest.mark.parametrize("why", ["black", "saturated", "uniform", "stencil", "smooth"])
@pytest.mark.parametrize("seen", [None, FRONTAL])
def test_pixels_without_anything_to_read_are_refused_whatever_the_network_says(why: str, seen: Look | None) -> None:
    with pytest.raises(RefusedByScreen) as refused:
        decide(PIXELS, Sight(seen, why), DEFAULT)
    assert refused.value.code == "unreadable_pixels"
    screened, _ = decide(PIXELS, Sight(seen, why), ScreenSettings(unreadable="warn"))
    assert "Nothing can be read" in screened.warnings[0]


def test_a_bundle_that_cannot_look_says_so() -> None:
    screened, _ = decide(PIXELS, Sight(None), DEFAULT)
    assert (screened.decision, screened.warnings) == ("unscreened", (NOT_SCREENED,))


UNLIKE = Comparison(99.0, unlike=True, doubtful=True, pose=UPRIGHT)
FILM = Comparison(3.0, unlike=False, doubtful=False, pose=UPRIGHT)


def test_what_the_bundles_own_models_find_unlike_their_films_is_refused() -> None:
    with pytest.raises(RefusedByScreen) as refused:
        decide(PIXELS, Sight(None, comparison=UNLIKE), DEFAULT)
    assert refused.value.code == "not_a_radiograph"
    warned, _ = decide(PIXELS, Sight(None, comparison=UNLIKE), ScreenSettings(not_chest="warn"))
    assert "unlike" in warned.warnings[0]


def test_what_only_the_bundles_own_models_saw_is_taken_with_a_warning() -> None:
    screened, changed = decide(PIXELS, Sight(None, comparison=FILM), DEFAULT)
    assert (screened.decision, screened.warnings, changed) == ("warned", (OWN_MODELS_ONLY,), False)
    doubtful, _ = decide(PIXELS, Sight(None, comparison=replace(FILM, doubtful=True)), DEFAULT)
    assert "doubtful" in doubtful.warnings[1]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_bundles_own_models_say_how_a_film_lies(turn: int, inverted: bool) -> None:
    lying = np.rot90(PIXELS, turn // 90)
    lying = 255 - lying if inverted else lying
    screened, changed = decide(lying, Sight(None, comparison=replace(FILM, pose=Pose(turn, inverted))), DEFAULT)
    assert np.array_equal(screened.pixels, PIXELS)
    assert changed == bool(turn or inverted)
    assert len(screened.warnings) == 1 + bool(turn) + inverted


def test_a_mirrored_film_is_never_turned_round() -> None:
    screened, changed = decide(PIXELS, Sight(None, comparison=replace(FILM, pose=Pose(mirrored=True))), DEFAULT)
    assert not changed
    assert "mirrored" in screened.warnings[1]


def test_what_the_screen_doubts_is_refused_where_the_own_models_are_sure_and_warned_about_where_they_are_not() -> None:
    doubted = look(frontal=0.7, lateral=0.3)
    with pytest.raises(RefusedByScreen) as refused:
        decide(PIXELS, Sight(doubted, comparison=replace(UNLIKE, remote=True)), DEFAULT)
    assert (refused.value.code, "unlike" in refused.value.detail) == ("not_a_radiograph", True)
    warned, _ = decide(PIXELS, Sight(doubted, comparison=UNLIKE), DEFAULT)
    assert ["unlike" in warned.warnings[0], "doubtful" in warned.warnings[1]] == [True, True]
    screened, _ = decide(PIXELS, Sight(doubted, comparison=FILM), DEFAULT)
    assert ["doubtful" in warning for warning in screened.warnings] == [True]


def test_what_the_screen_takes_without_doubt_the_own_models_do_not_refuse() -> None:
    screened, _ = decide(PIXELS, Sight(FRONTAL, comparison=UNLIKE), DEFAULT)
    assert screened.decision == "accepted"
