"""Which questions ask for yes or no. How sure the model is of yes: `models.findings.yes_no`."""

import re

_BE = r"(?:is|are|was|were)"
_MODAL = r"(?:can|could|would|will|should|may|might|must)"
_SEEING = r"(?:see|find|detect|identify|recogni[sz]e|confirm|exclude)"
# "Do" and "have" begin orders, too, unless whom they ask about follows.
_WHOM = r"(?:you|we|they|these|those|both|any|all|the(?! following\b)|his|her|their|patients?|children|lungs?)"
_CLOSED = re.compile(
    rf"(?:{_BE}|does|did|has|had|any|(?:do|have) (?={_WHOM}\b)|{_MODAL}(?! you\b)|{_MODAL} you {_SEEING})\b"
    r"(?! (?:what|how|why|where)\b) ?\S"
)
# "Is there A or B?" asks for yes or no; "Is it A or B?" asks which.
_WHICH = re.compile(rf"{_BE} (?!there\b|any\b).*\bor\b")
_EITHER_WAY = re.compile(r"\b(?:yes or no|or not)\b")
_NEGATED = re.compile(r"\b(?:no|not|without|never|neither|nor|absent|free of)\b|n['\u2019]t\b")
_ABBREVIATION = re.compile(r"\b(mrs?|ms|dr|st|e\.g|i\.e)\. ")
_READ = 2_000


def is_closed(question: str) -> bool:
    """Whether a question asks for yes or no, by its English wording: one sentence that begins with its verb, denies
    nothing and names no alternatives. Texts above 2,000 characters are no closed questions.

    What "yes" to a question that denies something would mean, readers disagree about, and models do not tell.
    """
    if len(question) > _READ:
        return False
    words = _ABBREVIATION.sub(r"\1 ", " ".join(question.casefold().split())).rstrip("?!. ")
    if re.search(r"[?!]|\. ", words) or not _CLOSED.match(words):
        return False
    asked = _EITHER_WAY.sub("", words)
    return _WHICH.match(asked) is None and _NEGATED.search(asked) is None
