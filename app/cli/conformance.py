"""The tables of docs/dicom-conformance.md: `python -m app.cli.conformance docs/dicom-conformance.md` writes them."""

import sys
from collections.abc import Iterable
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import UID, AllTransferSyntaxes

from app.dicom.document import PATIENT_ATTRIBUTES, STUDY_ATTRIBUTES
from app.dicom.header import INSTANCE_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS
from app.dicom.inherited import FORMS, IDENTIFIERS
from app.dicom.status import MEANINGS, FailureReason, WarningReason
from app.dicom.uids import is_image_class, storage_classes
from app.doc_tables import rewritten, table
from app.imaging.syntaxes import DECODED, LOSSLESS, LOSSY, UNCOMPRESSED
from app.ingest.contexts import accepted_contexts
from app.settings import DimseSettings
from app.store.search_keys import INSTANCE_KEYS, STUDY_KEYS

_SERIES_KEYS = ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined")


def tables() -> dict[str, str]:
    """The page's tables in Markdown."""
    return {
        "dimse settings": _settings(),
        "transfer syntaxes": _syntaxes(),
        "statuses": _statuses(),
        "keys": _keys(),
        "returned": _returned(),
        "copied": _copied(),
        "contexts": _contexts(),
    }


def _settings() -> str:
    rows = []
    for name, field in DimseSettings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        text = str(default).lower() if isinstance(default, bool) else str(default)
        shown = "" if default in (None, (), {}) else f"`{text}`"
        rows.append((f"`{name.upper()}`", shown, field.description or ""))
    return table(("setting", "default", "meaning"), rows)


def _syntaxes() -> str:
    kinds = {**dict.fromkeys(UNCOMPRESSED, "uncompressed"), **dict.fromkeys(LOSSLESS, "lossless")}
    kinds |= dict.fromkeys(LOSSY, "lossy, or may be")
    images, others = _offered(image=True), _offered(image=False)
    rows = [
        (UID(uid).name, uid, kinds.get(uid, ""), _yes(uid in images), _yes(uid in others))
        for uid in (*DECODED, *(one for one in AllTransferSyntaxes if one not in DECODED))
    ]
    return table(("transfer syntax", "UID", "decoded", "of images", "of other SOP classes"), rows)


def _offered(*, image: bool) -> set[str]:
    """Transfer syntaxes that the SCP accepts of image classes, or of the others."""
    contexts = accepted_contexts()[1:]
    return {syntax for one in contexts if is_image_class(str(one.abstract_syntax)) is image for syntax in _of(one)}


def _of(context: object) -> list[str]:
    return [str(uid) for uid in getattr(context, "transfer_syntax", None) or ()]


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _statuses() -> str:
    rows = []
    for reason, meaning in MEANINGS.items():
        if isinstance(reason, FailureReason):
            rows.append((f"{reason.in_dimse:04X}", f"{reason.in_stow:04X}", "refused", meaning))
        else:
            rows.append((f"{reason.in_dimse:04X}", f"{reason:04X}", _taken(reason), meaning))
    return table(("C-STORE", "STOW-RS", "", "meaning"), rows)


def _taken(reason: WarningReason) -> str:
    return "success with a warning" if reason is WarningReason.SUPERSEDED else "stored, with a warning"


def _keys() -> str:
    rows = [(level, *_named(keyword), _matching(keyword)) for level, keyword in _levels()]
    return table(("level", "key", "tag", "VR", "matching"), rows)


def _levels() -> Iterable[tuple[str, str]]:
    yield from (("study", keyword) for keyword in (*STUDY_KEYS, "ModalitiesInStudy"))
    own = [keyword for keyword in INSTANCE_KEYS if keyword != "ModalitiesInStudy"]
    yield from (("series" if keyword in _SERIES_KEYS else "instance", keyword) for keyword in own)


def _matching(keyword: str) -> str:
    vr = dictionary_VR(keyword)
    if vr == "UI":
        return "list of UIDs"
    if vr in ("DA", "TM"):
        return "range"
    if vr == "PN":
        return "wild cards, without case, in every component group"
    return "list, wild cards" if keyword in ("Modality", "ModalitiesInStudy") else "wild cards"


def _named(keyword: str) -> tuple[str, str, str]:
    tag = tag_for_keyword(keyword) or 0
    return keyword, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", dictionary_VR(keyword)


def _returned() -> str:
    levels = (("study", STUDY_KEYWORDS), ("series", SERIES_KEYWORDS), ("instance", INSTANCE_KEYWORDS))
    return table(("level", "attributes"), ((level, ", ".join(keywords)) for level, keywords in levels))


def _copied() -> str:
    rows = [(*_named(keyword), _how(keyword)) for keyword in (*PATIENT_ATTRIBUTES, *STUDY_ATTRIBUTES)]
    return table(("attribute", "tag", "VR", "taken over"), rows)


def _how(keyword: str) -> str:
    vr = dictionary_VR(keyword)
    if keyword in IDENTIFIERS:
        return "as it came; where it cannot be written, the job fails"
    if vr == "SQ":
        return "without private elements"
    return "where its VR admits it" if vr in FORMS else "as it came; left out with control characters"


def _contexts() -> str:
    rows = [(UID(uid).name, uid, "images" if is_image_class(uid) else "others") for uid in storage_classes()]
    return table(("SOP class", "UID", "transfer syntaxes of"), rows)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text(), tables()))
