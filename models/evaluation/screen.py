"""How well a bundle's screen tells true frontal films from strangers, and finds what is wrong with films."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.bundle import SCREEN_FOLDER
from models.data.dataset import DataError
from models.data.strangers.drawn import draw_strangers
from models.data.strangers.table import pictures_of, read_strangers
from models.evaluation.statistics import auroc
from models.evaluation.subject import Subject
from models.preprocessing import fit
from models.screen import KINDS, TURNS, Look, Screen, unreadable
from models.screen.config import FRONTAL, LATERAL

_EACH = 40
_SEED = 1
_TIMED = 40
# Of a film's height or width that is missing in the test of cut films.
_MISSING = 0.4
_ACCEPTED = 0.99
_FALSE_ALARMS = 0.05


def evaluate_screen(subject: Subject, strangers: Path | None = None) -> dict[str, Any]:
    """Figures on the split's films, and on strangers that no training saw: the test part of `strangers`, drawn families
    that are held out, and the split's laterals. Raises DataError where the bundle has no screen.
    """
    if subject.bundle.screen is None:
        raise DataError("the bundle has no screen; `cxr train screen --bundle` adds one")
    screen = Screen.load(subject.bundle.screen, subject.device)
    frontal = [int(row) for row in subject.rows if subject.record(row).frontal]
    films = np.stack([subject.images[row] for row in frontal])
    ages = [subject.record(row).age_group or "unknown" for row in frontal]
    looks = screen.look(films)
    others, kinds, sources = _strangers(subject, strangers, held_out=True)
    seen = screen.look(others)
    found: dict[str, Any] = {
        **subject.about(),
        "screen_sha256": subject.bundle.manifest.files[f"{SCREEN_FOLDER}/model.safetensors"].sha256,
        "films": len(films),
        "films_by_age_group": {age: ages.count(age) for age in sorted(set(ages))},
        "thresholds": screen.config.thresholds.model_dump(),
        "milliseconds_a_picture": _milliseconds(screen, films),
        "frontal_films": _accepted(screen, films, looks),
        "wrongs": _wrongs(screen, films, looks, ages),
        "strangers": _refused(screen, looks, others, seen, kinds, sources),
        "confusion": _confusion([FRONTAL] * len(looks) + kinds, looks + seen),
    }
    known, known_kinds, families = _strangers(subject, None, held_out=False)
    found["drawn_families_of_the_training"] = _by_source(screen, known, screen.look(known), known_kinds, families)
    return found


def _strangers(subject: Subject, folder: Path | None, *, held_out: bool) -> tuple[np.ndarray, list[str], list[str]]:
    size = subject.bundle.manifest.image.size
    films = np.stack([subject.images[row] for row in subject.rows])
    pictures, kinds, names = draw_strangers(_EACH, size, films, _SEED, held_out=held_out)
    sources = [f"drawn: {name}" for name in names]
    if folder is not None:
        rows = read_strangers(folder, "test")
        pictures = np.concatenate([pictures, pictures_of(folder, rows, size)])
        kinds, sources = kinds + [row.kind for row in rows], sources + [row.source for row in rows]
    lateral = [int(row) for row in subject.rows if not subject.record(row).frontal] if held_out else []
    if lateral:
        pictures = np.concatenate([pictures, np.stack([subject.images[row] for row in lateral])])
        kinds, sources = kinds + [LATERAL] * len(lateral), sources + ["manifest"] * len(lateral)
    return pictures, kinds, sources


def _share(values: Sequence[bool] | np.ndarray) -> float:
    return round(float(np.mean(values)), 4)


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
        "accepted": _share(frontal >= limits.refuse),
        "accepted_without_doubt": _share(frontal >= limits.doubt),
        "called_unreadable": _share([reason is not None for reason in unreadable(films)]),
        "called_turned": _share(_values(looks, "turned") >= limits.turned),
        "called_inverted": _share(_values(looks, "inverted_grey") >= limits.inverted_grey),
        "called_mirrored": _share(_values(looks, "mirrored") >= limits.mirrored),
        "called_cut": _share(_values(looks, "cut") >= limits.cut),
    }


def _wrongs(screen: Screen, films: np.ndarray, looks: Sequence[Look], ages: Sequence[str]) -> dict[str, Any]:
    limits = screen.config.thresholds
    turned = {}
    for turn in TURNS[1:]:
        made = screen.look(np.rot90(films, turn // 90, (1, 2)))
        found = [look.turn == turn and look.turned >= limits.turned for look in made]
        turned[str(turn)] = {
            "found": _share(found),
            "frontal_accepted": _share(_values(made, "frontal") >= limits.refuse),
            "by_age_group": _by_group(found, ages),
        }
    inverted = screen.look(255 - films)
    mirrored = _values(screen.look(films[:, :, ::-1]), "mirrored")
    upright = _values(looks, "mirrored")
    own = float(np.quantile(upright, 1 - _FALSE_ALARMS))
    cut = {
        name: _share(_values(screen.look(np.stack([_cut(film, name) for film in films])), "cut") >= limits.cut)
        for name in ("top", "bottom", "left", "right")
    }
    inverted_found = _values(inverted, "inverted_grey") >= limits.inverted_grey
    return {
        "turned": turned,
        "inverted": {"found": _share(inverted_found), "by_age_group": _by_group(inverted_found, ages)},
        "mirrored": {
            "auroc": round(auroc(mirrored, upright), 4),
            "found_at_5_percent_false_alarms": _share(mirrored > own),
            "found_at_the_threshold": _share(mirrored >= limits.mirrored),
            "by_age_group": _by_group(mirrored > own, ages),
        },
        "cut_by_40_percent_found": cut,
    }


def _cut(film: np.ndarray, name: str) -> np.ndarray:
    """A film that lacks a part, as preprocessing would leave it."""
    missing = int(_MISSING * len(film))
    kept = {
        "top": film[missing:],
        "bottom": film[:-missing],
        "left": film[:, missing:],
        "right": film[:, :-missing],
    }[name]
    return np.asarray(fit(Image.fromarray(np.ascontiguousarray(kept)), len(film)))


def _by_group(found: Sequence[bool] | np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    return {
        name: _share([one for one, group in zip(found, groups, strict=True) if group == name])
        for name in sorted(set(groups))
    }


def _refused(
    screen: Screen,
    looks: Sequence[Look],
    others: np.ndarray,
    seen: Sequence[Look],
    kinds: list[str],
    sources: list[str],
) -> dict[str, Any]:
    true, strange = _values(looks, "frontal"), _values(seen, "frontal")
    limit = float(np.quantile(true, 1 - _ACCEPTED))
    return {
        "pictures": len(seen),
        "auroc_of_frontal": round(auroc(true, strange), 4),
        "refused_at_99_percent_of_films_accepted": _share(strange < limit),
        "by_kind": {
            kind: {
                "pictures": kinds.count(kind),
                "refused_at_99_percent": _share(
                    [value < limit for value, k in zip(strange, kinds, strict=True) if k == kind]
                ),
            }
            for kind in sorted(set(kinds))
        },
        "by_source": _by_source(screen, others, seen, kinds, sources),
    }


def _by_source(
    screen: Screen, pictures: np.ndarray, looks: Sequence[Look], kinds: Sequence[str], sources: Sequence[str]
) -> dict[str, Any]:
    """Refused: by the network's threshold or by the pixels' statistics."""
    limits, reasons = screen.config.thresholds, unreadable(pictures)
    found = {}
    for kind, source in sorted(set(zip(kinds, sources, strict=True))):
        rows = [row for row, pair in enumerate(zip(kinds, sources, strict=True)) if pair == (kind, source)]
        frontal = np.array([looks[row].frontal for row in rows])
        empty = np.array([reasons[row] is not None for row in rows])
        found[f"{source} ({kind})"] = {
            "pictures": len(rows),
            "unreadable": _share(empty),
            "refused": _share(empty | (frontal < limits.refuse)),
            "refused_or_doubted": _share(empty | (frontal < limits.doubt)),
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
