"""An optional part of a bundle: a screen, put into one that exists, with a section of its card."""

import shutil
from pathlib import Path

from models.bundle.manifest import CARD_FILE, SCREEN_FOLDER, Manifest
from models.bundle.parts import put_part
from models.screen.config import ScreenConfig
from models.storage import CONFIG_FILE, WEIGHTS_FILE

HEADING = "## Screen"
_NOT_MEASURED = "Not measured yet: `cxr evaluate screen`."


def add_screen(bundle: Path, screen: Path) -> Manifest:
    """Put the screen in the folder `screen` into a bundle, in the place of one that is there. Raises BundleError."""

    def write(partial: Path) -> None:
        (partial / SCREEN_FOLDER).mkdir()
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copyfile(screen / name, partial / SCREEN_FOLDER / name)
        config = ScreenConfig.model_validate_json((screen / CONFIG_FILE).read_bytes())
        text = (bundle / CARD_FILE).read_text(encoding="utf-8") if (bundle / CARD_FILE).exists() else ""
        (partial / CARD_FILE).write_text(with_section(text, section(config)), encoding="utf-8")

    return put_part(bundle, (SCREEN_FOLDER, CARD_FILE), write)


def section(config: ScreenConfig, figures: str = _NOT_MEASURED) -> str:
    """The card's section: what the screen is, its figures, and where its pictures come from."""
    rows = [
        f"| {one.source} | {one.kind.replace('_', ' ')} | {one.pictures or 'any number'} | {one.licence} "
        f"| {one.attribution} |"
        for one in config.sources
    ]
    return "\n".join(
        [
            HEADING,
            f"A small network that looks at every picture before it is reported on, at {config.side} px: what kind it",
            "is, how it is turned, whether it is mirrored, inverted or cut. Trained on the films of the training data",
            "below, and on:",
            "",
            "| source | kind | pictures | licence | attribution |",
            "|---|---|---|---|---|",
            *rows,
            "",
            figures,
        ]
    )


def with_section(card: str, text: str) -> str:
    """A card with another section `Screen`, before the runs' log where it has one, else at its end."""
    lines = card.rstrip("\n").split("\n")
    heads = [index for index, line in enumerate(lines) if line.startswith("## ")]
    begin = next((index for index in heads if lines[index] == HEADING), None)
    if begin is not None:
        end = next((index for index in heads if index > begin), len(lines))
        del lines[begin:end]
    place = next((index for index, line in enumerate(lines) if line == "## Reproduce"), len(lines))
    before, after = "\n".join(lines[:place]).rstrip("\n"), "\n".join(lines[place:])
    return "\n\n".join(part for part in (before, text.rstrip("\n"), after) if part) + "\n"
