"""Which questions ask for yes or no. How sure the model is of yes: `models.findings.yes_no`."""

import re

_BE = r"(?:is|are|was|were)"
_MODAL = r"(?:can|could|would|will|should|may|might|must)"
_SEEING = r"(?:see|find|detect|identify|recogni[sz]e|confirm|exclude)"
_CLOSED = re.compile(
    rf"(?:{_BE}|do|does|did|has|have|had|any|{_MODAL}(?! you\b)|{_MODAL} you {_SEEING})\b(?! (?:what|how|why|where)\b)"
)
# "Is there A or B?" asks for yes or no; "Is it A or B?" asks which.
_WHICH = re.compile(rf"{_BE} (?!there\b|any\b).*\bor\b")
_EITHER_WAY = re.compile(r"\b(?:yes or no|or not)\b")
_READ = 2_000


def is_closed(question: str) -> bool:
    """Whether a question asks for yes or no, by its English wording: one sentence that begins with its verb and names
    no alternatives. Texts above 2,000 characters are no closed questions.
    """
    if len(question) > _READ:
        return False
    words = " ".join(question.casefold().split()).rstrip("?!. ")
    if re.search(r"[?!]|\. ", words) or not _CLOSED.match(words):
        return False
    return _WHICH.match(_EITHER_WAY.sub("", words)) is None
