"""Words of free text in English, German, French, Spanish and Italian: folded, then looked for as whole words."""

import re
import unicodedata
from collections.abc import Mapping

_TERM = re.compile(r"[^A-Z0-9 _/-]")
_BETWEEN = re.compile(r"[^a-z0-9]+")
# Devices run words together (`ChestAP`, `ThoraxPA`); a border of cases is one of words.
_CASES = re.compile(r"(?<=[a-z])(?=[A-Z])")


def term(value: str) -> str:
    """A coded term safe to repeat to the client: short, capitals, digits."""
    return _TERM.sub("", value.upper())[:32].strip()


def folded(text: str) -> str:
    """Lower case without accents, words separated by one blank: `Hüfte a.p.` is `hufte a p`."""
    plain = unicodedata.normalize("NFKD", _CASES.sub(" ", text).casefold())
    return _BETWEEN.sub(" ", "".join(one for one in plain if not unicodedata.combining(one))).strip()


def compiled(words: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """Patterns by name; each alternative matches whole words of a folded text."""
    return {name: re.compile(rf"\b(?:{pattern})\b") for name, pattern in words.items()}
