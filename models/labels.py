"""The findings that labels of open data name, and which of them a text states, read from its words."""

import re
from collections.abc import Iterable

from models.conditions import BACTERIAL, COVID, NORMAL, PNEUMONIA, VIRAL, WORDS, stated_condition
from models.negation import affirmed_and_negated

# The kinds of the open data, then the 14 findings each of ChestX-ray14 and CheXpert.
LABELS = (
    NORMAL,
    BACTERIAL,
    VIRAL,
    COVID,
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "edema",
    "effusion",
    "emphysema",
    "enlarged cardiomediastinum",
    "fibrosis",
    "fracture",
    "hernia",
    "infiltration",
    "lung lesion",
    "lung opacity",
    "mass",
    "nodule",
    "pleural effusion",
    "pleural other",
    "pleural thickening",
    "pneumonia",
    "pneumothorax",
    "support devices",
)
# Where reports use other words than the label's own. CheXpert's labeler (Irvin et al. 2019) knows more of them.
_WORDS = {
    **WORDS,
    "atelectasis": r"\batelecta(?:sis|ses|tic)\b",
    "cardiomegaly": r"\bcardiomegaly\b|\benlarged (?:heart|cardiac silhouette)\b|\benlargement of the heart\b"
    r"|\b(?:heart|cardiac silhouette)(?: size)? is (?:\w+ly )?enlarged\b",
    "consolidation": r"\bconsolidat(?:ions?|ed)\b",
    "edema": r"\bo?edema\b",
    "effusion": r"\beffusions?\b|\bpleural fluid\b",
    "emphysema": r"\bemphysema(?:tous)?\b",
    "fibrosis": r"\bfibro(?:sis|tic)\b",
    "infiltration": r"\binfiltrat(?:ions?|es?)\b",
    "lung opacity": r"\bopacit(?:y|ies)\b|\bopacifications?\b",
    "mass": r"\bmass(?:es)?\b",
    "nodule": r"\bnodul(?:es?|ar)\b",
    "pneumothorax": r"\bpneumothora(?:x|ces)\b",
    "support devices": r"\bsupport devices?\b|\b(?:endotracheal|nasogastric|chest|feeding|tracheostomy) tubes?\b"
    r"|\b(?:catheter|pacemaker)s?\b",
}
# Affirmed, they say that a finding is absent.
_ABSENT = {
    "lung opacity": re.compile(r"\blungs?(?: fields?)? (?:is|are|remain|appear)(?: \w+){0,3} clear\b|\bclear lungs?\b"),
    "cardiomegaly": re.compile(
        r"\bnormal(?:[- ]sized)? (?:heart|cardiac silhouette)\b"
        r"|\b(?:heart|cardiac silhouette)(?: size)? is (?:\w+ly |within )?normal\b"
    ),
}
_NOT_ENLARGED = re.compile(r"\b(?:heart|cardiac silhouette)(?: size)? is(?: not|n't)(?: \w+ly)? enlarged\b")
# The parenchymal findings that CheXpert's hierarchy has below lung opacity.
_OPACITIES = frozenset(("atelectasis", "consolidation", "edema", "lung lesion", "pneumonia", *PNEUMONIA))


def stated_labels(text: str) -> frozenset[str]:
    """The names of `LABELS` that the text states as present; `normal` where it says so and states nothing else."""
    present, _ = mentioned_labels(text)
    if present:
        return present
    return frozenset((NORMAL,)) if stated_condition(text) == NORMAL else frozenset()


def mentioned_labels(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of `LABELS` but `normal` that the text states as present, and those that it states as absent."""
    affirmed, negated = affirmed_and_negated(text)
    present, absent = _named(affirmed), _named(negated)
    absent |= {label for label, words in _ABSENT.items() if any(words.search(passage) for passage in affirmed)}
    if _NOT_ENLARGED.search(text.lower()):
        absent.add("cardiomegaly")
    return _most_specific(present), _most_specific(absent)


def is_kind_of(special: str, general: str) -> bool:
    """Whether one label is a special case of another by its name: `bacterial pneumonia` of `pneumonia`."""
    return special != general and (special.endswith(f" {general}") or (general == "pneumonia" and special in PNEUMONIA))


def implies(special: str, general: str) -> bool:
    """Whether a finding is another as well: its special case, or an opacity of the lung."""
    return is_kind_of(special, general) or (general == "lung opacity" and special in _OPACITIES)


def _named(passages: Iterable[str]) -> set[str]:
    return {label for label, words in _PATTERNS.items() if any(words.search(passage) for passage in passages)}


def _most_specific(found: set[str]) -> frozenset[str]:
    """`bacterial pneumonia` is not also `pneumonia`, nor `pleural effusion` also `effusion`."""
    return frozenset(found - {general for general in found for special in found if is_kind_of(special, general)})


_PATTERNS = {
    label: re.compile(_WORDS.get(label, rf"\b{re.escape(label.lower())}s?\b")) for label in LABELS if label != NORMAL
}
