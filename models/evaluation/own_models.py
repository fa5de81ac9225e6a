"""How well a bundle's own models tell films from strangers and see how a film lies, alone and with the screen."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.progress import track

from models.evaluation.calibration import log_likelihoods
from models.evaluation.screen_pictures import Strangers, by_group, share
from models.evaluation.statistics import auroc
from models.evaluation.subject import Subject
from models.screen.calibration import Calibration
from models.screen.own_models import Comparison, compare
from models.screen.pose import MIRRORED, Pose
from models.screen.screen import Screen
from models.screen.statistics import unreadable

_ACCEPTED = 0.99
# Comparing takes ten passes through the models, so that films that lie wrong are every fourth.
_EVERY = 4
_WRONG = {
    "turned 90": Pose(90),
    "turned 180": Pose(180),
    "turned 270": Pose(270),
    "inverted": Pose(inverted=True),
    "mirrored": MIRRORED,
}


class _Models:
    """The subject's models, one picture at a time."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def encode(self, pixels: np.ndarray) -> list[int]:
        codes: list[int] = self._subject.encode(pixels[None])[0].tolist()
        return codes

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        made: np.ndarray = self._subject.decode(np.array([codes]))[0]
        return made

    async def log_likelihood(self, codes: Sequence[int]) -> float:
        return float(log_likelihoods(self._subject, np.array([codes]))[0])


def evaluate_own_models(
    subject: Subject,
    calibration: Calibration,
    films: np.ndarray,
    ages: Sequence[str],
    strangers: Strangers,
    screen: Screen | None,
) -> dict[str, Any]:
    """Figures on films, uint8 (N, size, size), as they are and lying wrong, and on strangers."""
    models = _Models(subject)

    def compared(pictures: np.ndarray, what: str) -> list[Comparison]:
        return [asyncio.run(compare(models, calibration, picture)) for picture in track(pictures, description=what)]

    true, strange = compared(films, "films"), compared(strangers.pictures, "strangers")
    near, far = _distances(true), _distances(strange)
    limit = float(np.quantile(near, _ACCEPTED))
    kept = ~_unlike(true)
    refused = _unlike(strange) | _empty(strangers.pictures)
    poses = {}
    for name, pose in _WRONG.items():
        # Undone twice is done once: a turn is undone by the opposite one.
        done = Pose(-pose.turn, pose.inverted, pose.mirrored)
        seen = compared(np.stack([done.undone(film) for film in films[::_EVERY]]), name)
        poses[name] = share([one.pose == pose for one in seen])
    return {
        "calibrated_on": calibration.films,
        "films_accepted": share(kept),
        "films_accepted_by_age_group": by_group(kept, ages),
        "films_called_turned_or_inverted": share([one.pose.turn != 0 or one.pose.inverted for one in true]),
        "films_called_mirrored": share([one.pose.mirrored for one in true]),
        "auroc_of_distance": round(auroc(far, near), 4),
        "strangers_refused": share(refused),
        "strangers_refused_at_99_percent_of_films_accepted": share(far > limit),
        "strangers_refused_by_source": {
            name: {"pictures": len(rows), "refused": share(refused[rows])}
            for name, rows in strangers.by_source().items()
        },
        "found": poses,
        **({} if screen is None else {"with_the_screen": _together(screen, films, ages, true, strangers, strange)}),
    }


def _together(
    screen: Screen,
    films: np.ndarray,
    ages: Sequence[str],
    true: Sequence[Comparison],
    strangers: Strangers,
    strange: Sequence[Comparison],
) -> dict[str, Any]:
    """The service's rule: what the screen doubts is refused where the own models find it remote from all films."""

    def refused(pictures: np.ndarray, comparisons: Sequence[Comparison]) -> np.ndarray:
        frontal = np.array([look.frontal for look in screen.look(pictures)])
        limits = screen.config.thresholds
        found: np.ndarray = (frontal < limits.refuse) | (
            (frontal < limits.doubt) & np.array([one.remote for one in comparisons])
        )
        return found

    others = refused(strangers.pictures, strange) | _empty(strangers.pictures)
    kept = ~refused(films, true)
    return {
        "films_accepted": share(kept),
        "films_accepted_by_age_group": by_group(kept, ages),
        "strangers_refused": share(others),
    }


def _distances(comparisons: Sequence[Comparison]) -> np.ndarray:
    return np.array([one.distance for one in comparisons])


def _unlike(comparisons: Sequence[Comparison]) -> np.ndarray:
    return np.array([one.unlike for one in comparisons])


def _empty(pictures: np.ndarray) -> np.ndarray:
    return np.array([reason is not None for reason in unreadable(pictures)])
