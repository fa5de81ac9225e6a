"""The screen's part of a model card."""

from typing import Any

from models.bundle import SCREEN_FOLDER, Bundle
from models.bundle.screen import HEADING, section
from models.data.dataset import DataError
from models.screen.config import ScreenConfig
from models.storage import read_config


def screen_part(bundle: Bundle, results: dict[str, Any] | None) -> str:
    """The section with an empty line behind it; nothing for a bundle without a screen.

    Raises DataError where the results are of another screen.
    """
    if bundle.screen is None:
        own = "" if results is None else own_models_figures(results)
        return f"{HEADING}\n{own}\n\n" if own else ""
    config = ScreenConfig.model_validate_json(read_config(bundle.screen))
    if results is None:
        return section(config) + "\n\n"
    if results["screen_sha256"] != bundle.manifest.files[f"{SCREEN_FOLDER}/model.safetensors"].sha256:
        raise DataError("screen.json is of another screen than the bundle's; evaluate again")
    return section(config, screen_figures(results)) + "\n\n"


def screen_figures(results: dict[str, Any]) -> str:
    """What `evaluate_screen` found, as tables."""
    films, wrongs, strangers = results["frontal_films"], results["wrongs"], results["strangers"]
    mirrored, turned = wrongs["mirrored"], wrongs["turned"]
    rows = [
        ("true films accepted, at the bundle's threshold", films["accepted"]),
        ("true films accepted without doubt", films["accepted_without_doubt"]),
        ("AUROC of frontal against strangers", strangers["auroc_of_frontal"]),
        (
            f"strangers refused where 99 % of films are accepted ({strangers['pictures']} pictures)",
            strangers["refused_at_99_percent_of_films_accepted"],
        ),
        *((f"turned by {turn} degrees: found", found["found"]) for turn, found in turned.items()),
        ("upright films called turned", films["called_turned"]),
        ("inverted: found", wrongs["inverted"]["found"]),
        ("films called inverted", films["called_inverted"]),
        ("mirrored: AUROC", mirrored["auroc"]),
        ("mirrored: found at 5 % false alarms", mirrored["found_at_5_percent_false_alarms"]),
        *((f"mirrored, {age}: found", value) for age, value in mirrored["by_age_group"].items()),
        *((f"40 % missing at the {side}: found", value) for side, value in wrongs["cut_by_40_percent_found"].items()),
        ("films called cut", films["called_cut"]),
    ]
    ages = ", ".join(f"{count} {age}" for age, count in results["films_by_age_group"].items())
    lines = [
        f"Measured on the {results['split']} split: {results['films']} frontal films ({ages}), as they are and turned,",
        "mirrored, inverted and cut by hand; strangers of sources and drawn families that no training saw.",
        "",
        "| figure | share |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        "| strangers, held out | pictures | refused | refused or doubted |",
        "|---|---|---|---|",
        *(
            f"| {name.replace('_', ' ')} | {one['pictures']} | {one['refused']} | {one['refused_or_doubted']} |"
            for name, one in strangers["by_source"].items()
        ),
    ]
    if not any("(lateral)" in name for name in strangers["by_source"]):
        lines += ["", "There was no real lateral film to measure with: what the screen says of them is not known."]
    own = own_models_figures(results)
    return "\n".join([*lines, *(["", own] if own else [])])


def own_models_figures(results: dict[str, Any]) -> str:
    """What `evaluate_own_models` found, as a table; nothing for a bundle without a calibration."""
    own = results.get("own_models")
    if own is None:
        return ""
    rows = [
        ("films accepted", own["films_accepted"]),
        *((f"films accepted, {age}", value) for age, value in own["films_accepted_by_age_group"].items()),
        ("AUROC of the distance", own["auroc_of_distance"]),
        ("strangers refused", own["strangers_refused"]),
        *((f"{wrong}: found", value) for wrong, value in own["found"].items()),
        ("upright films called turned or inverted", own["films_called_turned_or_inverted"]),
        ("films called mirrored", own["films_called_mirrored"]),
    ]
    both = own.get("with_the_screen")
    if both is not None:
        rows += [
            ("with the screen, as served: films accepted", both["films_accepted"]),
            *(
                (f"with the screen, as served: films accepted, {age}", value)
                for age, value in both["films_accepted_by_age_group"].items()
            ),
            ("with the screen, as served: strangers refused", both["strangers_refused"]),
        ]
    lines = [
        f"The bundle's own models, calibrated on {own['calibrated_on']} films of the validation split with",
        "`cxr calibrate`, on the same films and strangers; lying wrong, on every fourth film. As served, they are",
        "asked about what the screen doubts.",
        "",
        "| figure of the own models | share |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
    ]
    return "\n".join(lines)
