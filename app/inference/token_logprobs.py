"""The tokens of a text with how likely each was, in step with the words of it that are told."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.protocol import Place
from models.vocabulary import Vocabulary

_UNFINISHED_CHARACTER = "\ufffd"
# What vLLM tells at the most. Ids of images may be among them and are none of a text: more are asked for than are told.
MOST = 20


@dataclass(frozen=True)
class TokenLogprob:
    """A token as bytes, the logarithm of its probability, and the likeliest in its place."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


class TokenTrace:
    """The tokens of one text so far, each with up to `most` of the likeliest. Control tokens are none of the text; what
    a mask refuses is none of the likeliest.

    Each text is decoded once more a token: what nobody asks for is not traced.
    """

    def __init__(self, vocabulary: Vocabulary, most: int) -> None:
        self._vocabulary = vocabulary
        self._most = most
        self._ids: list[int] = []
        self._tokens: list[TokenLogprob] = []
        # Where in the decoded text each token begins, in characters; those of one character begin where it does.
        self._begins: list[int] = []
        self._told = 0

    def add(self, ids: Sequence[int], places: Sequence[Place]) -> None:
        """The next ids and their places."""
        vocabulary = self._vocabulary
        for token, place in zip(ids, places, strict=True):
            if token >= vocabulary.text_size or token in vocabulary.controls:
                continue
            self._begins.append(len(self._decoded().rstrip(_UNFINISHED_CHARACTER)))
            self._ids.append(token)
            top = tuple(
                (vocabulary.token_bytes(other), logprob)
                for other, logprob in place.top
                if other < vocabulary.text_size and (other == vocabulary.end or other not in vocabulary.controls)
            )
            self._tokens.append(TokenLogprob(vocabulary.token_bytes(token), place.logprob, top[: self._most]))

    def _decoded(self) -> str:
        return self._vocabulary.decode(self._ids)

    def until(self, text: str) -> tuple[TokenLogprob, ...]:
        """The tokens up to the end of `text`, as far as it was told without blanks at either end, which `until` has not
        given yet.
        """
        decoded = self._decoded()
        end = len(decoded) - len(decoded.lstrip()) + len(text)
        first, self._told = self._told, sum(begin < end for begin in self._begins)
        return tuple(self._tokens[first : self._told])
