"""How well a bundle's screen tells true frontal films from strangers, and finds what is wrong with films."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import SCREEN_FOLDER
from models.data.dataset import DataError
from models.evaluation.own_models import evaluate_own_models
from models.evaluation.screen_pictures import Strangers, by_group, films_of, share, strangers_of, without_part
from models.evaluation.statistics import auroc
from models.evaluation.subject import Subject
from models.screen.config import FRONTAL, KINDS, TURNS
from models.screen.look import Look
from models.screen.screen import Screen
from models.screen.statistics import unreadable

_TIMED = 40
_ACCEPTED = 0.99
_FALSE_ALARMS = 0.05


def evaluate_screen(subject: Subject, strangers: Path | None = None) -> dict[str, Any]:
    """Figures on the split's films, and on strangers that no training saw: the test part of `strangers`, drawn families
    that are held out, and the split's laterals. By source: the bundle's screen, its own models where it is calibrated,
    and both together. Raises DataError where the bundle has neither.
    """
    bundle = subject.bundle
    calibration = bundle.calibration
    if bundle.screen is None and calibration is None:
        raise DataError("the bundle has no screen; `cxr train screen --bundle` or `cxr calibrate` adds one")
    films, ages = films_of(subject)
    others = strangers_of(subject, strangers, held_out=True)
    found: dict[str, Any] = {
        **subject.about(),
        "films": len(films),
        "films_by_age_group": {age: ages.count(age) for age in sorted(set(ages))},
    }
    screen = None if bundle.screen is None else Screen.load(bundle.screen, subject.device)
    if screen is not None:
        found |= _of_the_screen(subject, screen, films, ages, others)
    if calibration is not None:
        found["own_models"] = evaluate_own_models(subject, calibration, films, ages, others, screen)
    return found


def _of_the_screen(
    subject: Subject, screen: Screen, films: np.ndarray, ages: Sequence[str], others: Strangers
) -> dict[str, Any]:
    looks, seen = screen.look(films), screen.look(others.pictures)
    known = strangers_of(subject, None, held_out=False)
    return {
        "screen_sha256": subject.bundle.manifest.files[f"{SCREEN_FOLDER}/model.safetensors"].sha256,
        "thresholds": screen.config.thresholds.model_dump(),
        "milliseconds_a_picture": _milliseconds(screen, films),
        "frontal_films": _accepted(screen, films, looks),
        "wrongs": _wrongs(screen, films, looks, ages),
        "strangers": _refused(screen, looks, others, seen),
        "confusion": _confusion([FRONTAL] * len(looks) + others.kinds, looks + seen),
        "drawn_families_of_the_training": _by_source(screen, known, screen.look(known.pictures)),
    }


def _values(looks: Sequence[Look], name: str) -> np.ndarray:
    return np.array([getattr(look, name) for look in looks])


def _milliseconds(screen: Screen, films: np.ndarray) -> dict[str, float]:
    taken = []
    for film in films[:_TIMED]:
        begun = time.perf_counter()
        screen.look(film[None])
        taken.append(1000 * (time.perf_counter() - begun))
    return {"median": round(float(np.median(taken)), 2), "most": round(max(taken), 2)}


def _accepted(screen: Screen, films: np.ndarray, looks: Sequence[Look]) -> dict[str, Any]:
    limits = screen.config.thresholds
    frontal = _values(looks, "frontal")
    return {
        "accepted": share(frontal >= limits.refuse),
        "accepted_without_doubt": share(frontal >= limits.doubt),
        "called_unreadable": share([reason is not None for reason in unreadable(films)]),
        "called_turned": share(_values(looks, "turned") >= limits.turned),
        "called_inverted": share(_values(looks, "inverted_grey") >= limits.inverted_grey),
        "called_mirrored": share(_values(looks, "mirrored") >= limits.mirrored),
        "called_cut": share(_values(looks, "cut") >= limits.cut),
    }


def _wrongs(screen: Screen, films: np.ndarray, looks: Sequence[Look], ages: Sequence[str]) -> dict[str, Any]:
    limits = screen.config.thresholds
    turned = {}
    for turn in TURNS[1:]:
        made = screen.look(np.rot90(films, turn // 90, (1, 2)))
        found = [look.turn == turn and look.turned >= limits.turned for look in made]
        turned[str(turn)] = {
            "found": share(found),
            "frontal_accepted": share(_values(made, "frontal") >= limits.refuse),
            "by_age_group": by_group(found, ages),
        }
    inverted = screen.look(255 - films)
    mirrored = _values(screen.look(films[:, :, ::-1]), "mirrored")
    upright = _values(looks, "mirrored")
    own = float(np.quantile(upright, 1 - _FALSE_ALARMS))
    cut = {
        name: share(_values(screen.look(np.stack([without_part(film, name) for film in films])), "cut") >= limits.cut)
        for name in ("top", "bottom", "left", "right")
    }
    inverted_found = _values(inverted, "inverted_grey") >= limits.inverted_grey
    return {
        "turned": turned,
        "inverted": {"found": share(inverted_found), "by_age_group": by_group(inverted_found, ages)},
        "mirrored": {
            "auroc": round(auroc(mirrored, upright), 4),
            "found_at_5_percent_false_alarms": share(mirrored > own),
            "found_at_the_threshold": share(mirrored >= limits.mirrored),
            "by_age_group": by_group(mirrored > own, ages),
        },
        "cut_by_40_percent_found": cut,
    }


def _refused(
    screen: Screen,
    looks: Sequence[Look],
    others: Strangers,
    seen: Sequence[Look],
) -> dict[str, Any]:
    true, strange = _values(looks, "frontal"), _values(seen, "frontal")
    limit = float(np.quantile(true, 1 - _ACCEPTED))
    return {
        "pictures": len(seen),
        "auroc_of_frontal": round(auroc(true, strange), 4),
        "refused_at_99_percent_of_films_accepted": share(strange < limit),
        "by_kind": {
            kind: {
                "pictures": others.kinds.count(kind),
                "refused_at_99_percent": share(
                    [value < limit for value, k in zip(strange, others.kinds, strict=True) if k == kind]
                ),
            }
            for kind in sorted(set(others.kinds))
        },
        "by_source": _by_source(screen, others, seen),
    }


def _by_source(screen: Screen, strangers: Strangers, looks: Sequence[Look]) -> dict[str, Any]:
    """Refused: by the network's threshold or by the pixels' statistics."""
    limits = screen.config.thresholds
    empty = np.array([reason is not None for reason in unreadable(strangers.pictures)])
    frontal = _values(looks, "frontal")
    found = {}
    for name, rows in strangers.by_source().items():
        found[name] = {
            "pictures": len(rows),
            "unreadable": share(empty[rows]),
            "refused": share(empty[rows] | (frontal[rows] < limits.refuse)),
            "refused_or_doubted": share(empty[rows] | (frontal[rows] < limits.doubt)),
        }
    return found


def _confusion(truth: Sequence[str], looks: Sequence[Look]) -> dict[str, dict[str, int]]:
    return {
        kind: {
            said: sum(t == kind and look.kind == said for t, look in zip(truth, looks, strict=True)) for said in KINDS
        }
        for kind in KINDS
        if kind in truth
    }
