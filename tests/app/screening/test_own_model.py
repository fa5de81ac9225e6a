"""The bundle's own models asked through the codec and the engine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.errors import Overloaded
from app.screening import Sight
from app.screening.fake import FRONTAL, FakeScreen
from app.screening.own_model import OwnModelScreen, SecondOpinion, ServedModels
from models.bundle import load
from models.screen.calibration import Calibration, Spread
from models.screen.layout import Layout
from tests.support.screens import noise

DEMO = Path(__file__).parents[3] / "models" / "bundles" / "demo"
BUNDLE = load(DEMO)
FILMS = noise(60, 256)
NEAR = {
    "low_band_error": Spread(centre=0.0, spread=100.0),
    "squared_error": Spread(centre=0.0, spread=100.0),
    "distinct_codes": Spread(centre=200.0, spread=1000.0),
    "log_likelihood": Spread(centre=-5.0, spread=0.1),
    "layout": Spread(centre=0.0, spread=100.0),
}
CALIBRATION = Calibration(
    weights_sha256="0" * 64,
    films=60,
    measures=NEAR,
    layout=Layout.of_films(FILMS),
    doubt=10.0,
    refuse=20.0,
    mirrored=-0.1,
)


def served(likely: Callable[[tuple[int, ...]], float]) -> ServedModels:
    """Models whose language model finds a prompt so likely."""
    engine = FakeEngine(BUNDLE.vocabulary)
    engine.log_likelihood = likely
    return ServedModels(FakeCodec(), engine, BUNDLE.prompts)


async def likely_if(film: np.ndarray, value: float = -5.0) -> Callable[[tuple[int, ...]], float]:
    """So likely is this one film; any other picture much less."""
    codes = tuple(BUNDLE.vocabulary.image_ids(await FakeCodec().encode(film)))
    head = tuple(BUNDLE.prompts.before_image())
    return lambda prompt: value if prompt == (*head, *codes) else -9.0


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("inverted", [False, True])
async def test_the_likeliest_turn_is_how_a_film_lies(turn: int, inverted: bool) -> None:
    lying = np.rot90(FILMS[0], turn // 90)
    lying = np.ascontiguousarray(255 - lying if inverted else lying)
    sight = await OwnModelScreen(served(await likely_if(FILMS[0])), CALIBRATION).look(lying)
    assert sight.comparison is not None
    assert not sight.comparison.doubtful
    assert (sight.pose.turn, sight.pose.inverted, sight.pose.mirrored) == (turn, inverted, False)


async def test_a_picture_that_is_unlikely_in_every_turn_is_no_film() -> None:
    sight = await OwnModelScreen(served(lambda prompt: -9.0), CALIBRATION).look(FILMS[0])
    assert sight.comparison is not None
    assert sight.comparison.unlike


async def test_a_film_whose_mirror_image_is_as_likely_may_be_mirrored() -> None:
    film, mirror = await likely_if(FILMS[0]), await likely_if(np.ascontiguousarray(FILMS[0][:, ::-1]))
    sight = await OwnModelScreen(served(lambda prompt: max(film(prompt), mirror(prompt))), CALIBRATION).look(FILMS[0])
    assert sight.pose.mirrored


async def test_nobody_asks_the_models_about_a_black_picture() -> None:
    def asked(prompt: tuple[int, ...]) -> float:
        raise AssertionError("asked")

    sight = await OwnModelScreen(served(asked), CALIBRATION).look(np.zeros((256, 256), np.uint8))
    assert sight.unreadable == "black"
    assert sight.comparison is not None
    assert sight.comparison.unlike


async def test_without_a_calibration_only_the_pixels_are_looked_at() -> None:
    assert await OwnModelScreen(served(lambda prompt: -9.0), None).look(FILMS[0]) == Sight(None)


async def test_a_failing_engine_is_no_verdict() -> None:
    def full(prompt: tuple[int, ...]) -> float:
        raise Overloaded("full")

    with pytest.raises(Overloaded):
        await OwnModelScreen(served(full), CALIBRATION).look(FILMS[0])


@pytest.mark.parametrize(("frontal", "asked"), [(0.1, False), (0.7, True), (0.95, False)])
async def test_the_own_models_are_asked_where_the_screen_doubts(frontal: float, asked: bool) -> None:
    screen = FakeScreen()
    screen.enqueue(Sight(FRONTAL.__class__(**{**vars(FRONTAL), "frontal": frontal})))
    sight = await SecondOpinion(screen, served(lambda prompt: -9.0), CALIBRATION).look(FILMS[0])
    assert (sight.comparison is not None) is asked
    assert sight.look is not None
