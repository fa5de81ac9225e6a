"""What becomes of a picture that was looked at: taken, taken with a warning, turned upright, or refused."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from app.errors import RefusedByScreen
from app.screening.protocol import Sight
from app.settings import ScreenSettings
from models.screen.look import Look
from models.screen.pose import Pose

Decision = Literal["accepted", "warned", "turned", "unscreened"]
# Quarter turns clockwise that bring a film back which lies turned so many degrees anticlockwise.
_CLOCKWISE = {90: "90 degrees clockwise", 180: "180 degrees", 270: "90 degrees anticlockwise"}
_KINDS = {
    "not_a_radiograph": ("not_a_radiograph", "The image does not look like a radiograph."),
    "other_radiograph": ("not_chest", "The image does not look like a radiograph of the chest."),
    "lateral": ("not_frontal", "The image looks like a lateral radiograph; frontal ones (PA or AP) are read."),
}
_UNREADABLE = {
    "black": "The image is black.",
    "saturated": "The image is white.",
    "uniform": "The image has one grey value.",
    "stencil": "The image has two grey values.",
    "smooth": "The image has no structure.",
}
_UNLIKE = "The pixels are unlike the chest radiographs that the model was calibrated on."
NOT_SCREENED = "Nobody has looked at whether this is an upright chest radiograph: the bundle has no screen."
OWN_MODELS_ONLY = "The bundle has no screen. Its own models looked at the image, and do not know laterals."
SWITCHED_OFF = "The screen was switched off for this request."


@dataclass(frozen=True)
class Screened:
    """A picture as it goes to the model: `pixels`, uint8 (size, size), and what was decided, seen and doubted."""

    pixels: np.ndarray
    decision: Decision
    warnings: tuple[str, ...]
    probabilities: dict[str, float]


def decide(pixels: np.ndarray, sight: Sight, settings: ScreenSettings) -> tuple[Screened, bool]:
    """What becomes of a picture that was seen so, and whether it was changed and has to be looked at once more.

    Raises RefusedByScreen.
    """
    warnings: list[str] = []
    known = probabilities(sight.look)

    def found(setting: str, code: str, sentence: str) -> None:
        if setting == "refuse":
            raise RefusedByScreen(sentence, code=code, probabilities=known)
        if setting == "warn":
            warnings.append(sentence)

    if sight.unreadable is not None:
        found(settings.unreadable, "unreadable_pixels", f"{_UNREADABLE[sight.unreadable]} Nothing can be read in it.")
    if sight.look is None and sight.comparison is None:
        return Screened(pixels, "unscreened", (*warnings, NOT_SCREENED), known), False
    turned = pixels
    if _passes(sight, settings, found):
        turned = _upright(pixels, sight.pose, settings, found, warnings)
        _judge_flags(sight, warnings)
    changed = turned is not pixels
    decision: Decision = "turned" if changed else "warned" if warnings else "accepted"
    return Screened(turned, decision, tuple(warnings), known), changed


def probabilities(look: Look | None) -> dict[str, float]:
    """Probabilities to show, with three decimals; none where nothing looked."""
    return {} if look is None else {name: round(value, 3) for name, value in asdict(look).items()}


def _passes(sight: Sight, settings: ScreenSettings, found: Callable[[str, str, str], None]) -> bool:
    """Whether the picture passes for a frontal chest radiograph."""
    comparison = sight.comparison
    if sight.look is None:
        if comparison is not None and comparison.unlike:
            found(settings.not_chest, "not_a_radiograph", _UNLIKE)
            return False
        found("warn", "", OWN_MODELS_ONLY)
    elif sight.look.frontal < sight.thresholds.refuse:
        others = {name: getattr(sight.look, name) for name in _KINDS}
        code, sentence = _KINDS[max(others, key=lambda name: others[name])]
        setting = settings.lateral if code == "not_frontal" else settings.not_chest
        found(setting, code, sentence)
        return False
    elif sight.doubtful and comparison is not None and comparison.remote:
        # The screen doubts and the own models are sure: the least of its four probabilities says nothing of a kind.
        found(settings.not_chest, "not_a_radiograph", _UNLIKE)
        return False
    elif sight.doubtful and comparison is not None and comparison.unlike:
        found("warn", "", _UNLIKE)
    if sight.doubtful:
        found("warn", "", "It is doubtful whether the image is a frontal chest radiograph.")
    return True


def _upright(
    pixels: np.ndarray,
    pose: Pose,
    settings: ScreenSettings,
    found: Callable[[str, str, str], None],
    warnings: list[str],
) -> np.ndarray:
    result = pixels
    if pose.turn:
        sentence = f"The radiograph lies turned; it is upright after a turn by {_CLOCKWISE[pose.turn]}."
        if settings.lies_wrong == "turn":
            result = np.rot90(result, -pose.turn // 90)
            warnings.append(f"The radiograph lay turned. It was turned by {_CLOCKWISE[pose.turn]} before it was read.")
        else:
            found(settings.lies_wrong, "not_upright", sentence)
    if pose.inverted:
        if settings.lies_wrong == "turn":
            result = 255 - result
            warnings.append("The grey values were inverted. They were turned round before the image was read.")
        else:
            found(settings.lies_wrong, "inverted_grey", "The grey values are inverted: bone is dark, air is bright.")
    return result if result is pixels else np.ascontiguousarray(result)


def _judge_flags(sight: Sight, warnings: list[str]) -> None:
    if sight.pose.mirrored:
        # Never turned round by guess: the heart of one in some thousand people is on the right.
        warnings.append("The radiograph may be mirrored: the heart seems to lie on the other side.")
    if sight.look is not None and sight.look.cut >= sight.thresholds.cut:
        warnings.append("Part of the chest seems to be missing.")
