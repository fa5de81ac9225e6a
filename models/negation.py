"""Which words of a text are affirmed and which are negated, by rules after NegEx (Chapman et al. 2001).

The rules know English reports, answers and requests. What "cannot be excluded" is neither affirmed nor negated.
"""

import re
from collections.abc import Iterator

_SENTENCE = re.compile(r"[;\n!?]|\.(?=\s|$)")
# What follows a contrast is outside the scope of a negation before it.
_CONTRAST = re.compile(
    r"\b(?:but|however|except(?: for)?|although|though|yet|whereas|other than|apart from|aside from)\b"
)
_CHUNK = re.compile(r",|\b(?:and|with) (?=there\b)")
_UNCERTAIN = re.compile(r"\b(?:cannot|can not|can't|could not|not)(?: be)?(?: \w+ly)? (?:excluded?|ruled? out)\b")
# Negations by their form that deny a change only.
_NO_CHANGE = re.compile(r"\b(?:no|without)(?: \w+){0,2} (?:change|increase|decrease)s?\b|\bnot only\b")
_SEEN = (
    "(?:seen|present|identified|evident|visible|visuali[sz]ed|demonstrated|detected|found|appreciated|observed|noted"
    "|shown|suspected)"
)
_BE = "(?:is|are|was|were|has|have|had)(?: been)?"
_BEHIND = re.compile(
    rf"\b(?:{_BE} )?(?:now |\w+ly )*(?:absent|excluded|ruled out)\b"
    rf"|\b{_BE} (?:now |\w+ly )*(?:resolved|negative)\b"
    rf"|\b(?:{_BE} )?(?:not|no longer) (?:\w+ly )?{_SEEN}\b"
    r"|:\s*(?:no|none|negative)\s*$"
)
_BEFORE = re.compile(
    r"\b(?:no|not|without|never|neither|nor|negative for|free of|clear of|absence of|resolved|resolution of|lacks?"
    r"|rules? out|exclud(?:es|ing))\b|n't\b"
)
_CONJUNCTION = re.compile(r"\b(?:and|or|nor)\b")
_VERB = re.compile(rf"\b(?:is|are|was|were|there|has|have|shows?|{_SEEN})\b")
_ANSWER = re.compile(r"^\W*(?:yes|no)\W*$")


def affirmed_and_negated(text: str) -> tuple[list[str], list[str]]:
    """The passages of a text whose words are affirmed, and those whose words are negated; in lower case."""
    affirmed: list[str] = []
    negated: list[str] = []
    for clause in _clauses(text):
        there, absent = _of_clause([chunk.strip() for chunk in _CHUNK.split(clause)])
        affirmed += there
        negated += absent
    return [words for words in affirmed if words], [words for words in negated if words]


def _clauses(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(text.lower().replace("\u2019", "'")):
        for clause in _CONTRAST.split(_NO_CHANGE.sub("", sentence)):
            if not _UNCERTAIN.search(clause):
                yield clause


def _of_clause(chunks: list[str]) -> tuple[list[str], list[str]]:
    affirmed: list[str] = []
    negated: list[str] = []
    # "No effusion, pneumothorax or fracture" is one list, "Mass, no effusion, cardiomegaly" three statements.
    listed = _CONJUNCTION.search(chunks[-1]) is not None
    continues = False
    for chunk in chunks:
        if _ANSWER.match(chunk):
            continue
        behind, before = _BEHIND.search(chunk), _BEFORE.search(chunk)
        if behind is not None and (before is None or before.start() >= behind.start()):
            words = chunk[: behind.start()]
            # "Effusion, edema and fracture are absent" denies all three.
            if _CONJUNCTION.search(words):
                negated += affirmed
                affirmed = []
            negated.append(words)
            affirmed.append(chunk[behind.end() :].strip())
            continues = False
        elif before is not None:
            affirmed.append(chunk[: before.start()].strip())
            negated.append(chunk[before.end() :].strip())
            continues = listed or not any(affirmed)
        elif continues and not _VERB.search(chunk):
            negated.append(chunk)
        else:
            affirmed.append(chunk)
            continues = False
    return affirmed, negated
