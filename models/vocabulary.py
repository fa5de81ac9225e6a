"""The joint vocabulary of text and image tokens: the only module that knows offsets and special ids.

Ids 0..text_size-1 are the tokenizer's; image code c is id `image_offset + c` (LLM-CXR, Lee et al. 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer, decoders

END = "### End"
INSTRUCTION = "### Instruction:"
RESPONSE = "### Response:\n"
PADDING = "<|endoftext|>"
SPECIAL_TOKENS = (END, INSTRUCTION, RESPONSE, PADDING)
IMAGE_WORD = "<image>"


def _byte_letters() -> dict[str, int]:
    """The letters by which tokenizers of bytes write them (GPT-2's table, Radford et al. 2019)."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_letters()


class VocabularyError(ValueError):
    """A tokenizer that does not fit the model; the message names the mismatch."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer and where the image codes lie behind it."""

    tokenizer: Tokenizer
    text_size: int
    image_offset: int
    codebook_size: int
    end: int
    instruction: int
    response: int
    padding: int
    image_open: int
    image_close: int

    @classmethod
    def load(cls, tokenizer_file: Path, text_size: int, image_offset: int, codebook_size: int) -> Self:
        """Read `tokenizer.json` and look the special ids up in it.

        Raises VocabularyError where the tokenizer's length, a special token, or the three-id rule for
        `<image>` does not hold.
        """
        return cls.from_tokenizer(Tokenizer.from_file(str(tokenizer_file)), text_size, image_offset, codebook_size)

    @classmethod
    def from_tokenizer(cls, tokenizer: Tokenizer, text_size: int, image_offset: int, codebook_size: int) -> Self:
        """As `load`, from a tokenizer in memory."""
        length = tokenizer.get_vocab_size(with_added_tokens=True)
        if length != text_size:
            raise VocabularyError(f"the tokenizer has {length} entries, the bundle says text_size {text_size}")
        if image_offset < text_size:
            raise VocabularyError(f"image_offset {image_offset} lies inside the text vocabulary of {text_size}")
        special: dict[str, int] = {}
        for token in SPECIAL_TOKENS:
            found = tokenizer.encode(token, add_special_tokens=False).ids
            if len(found) != 1:
                raise VocabularyError(f"{token!r} is {len(found)} tokens, not one special token")
            special[token] = found[0]
        # From here on special tokens in text are spelt out, never matched: text cannot become control.
        tokenizer.encode_special_tokens = True
        image = tokenizer.encode(IMAGE_WORD, add_special_tokens=False).ids
        if len(image) != 3:
            raise VocabularyError(f"{IMAGE_WORD!r} is {len(image)} tokens; the prompt format needs exactly three")
        return cls(
            tokenizer=tokenizer,
            text_size=text_size,
            image_offset=image_offset,
            codebook_size=codebook_size,
            end=special[END],
            instruction=special[INSTRUCTION],
            response=special[RESPONSE],
            padding=special[PADDING],
            image_open=image[0],
            image_close=image[2],
        )

    @property
    def size(self) -> int:
        """Rows of the language model's embedding: text and image ids together."""
        return self.image_offset + self.codebook_size

    @property
    def controls(self) -> frozenset[int]:
        """Ids of the special tokens."""
        return frozenset((self.end, self.instruction, self.response, self.padding))

    def encode(self, text: str) -> list[int]:
        """Tokenise plain text. Special tokens written in it stay text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids; control tokens and image ids are left out."""
        plain = [i for i in ids if i < self.text_size and i not in self.controls]
        text: str = self.tokenizer.decode(plain, skip_special_tokens=True)
        return text

    def token_bytes(self, token: int) -> bytes:
        """A text token alone, as UTF-8: part of a character where the tokenizer is one of bytes."""
        added = self.tokenizer.get_added_tokens_decoder().get(token)
        if added is not None:
            return str(added.content).encode()
        written = str(self.tokenizer.id_to_token(token))
        if isinstance(self.tokenizer.decoder, decoders.ByteLevel):
            return bytes(_BYTES[letter] for letter in written)
        return str(self.tokenizer.decode([token])).encode()

    def image_ids(self, codes: Sequence[int]) -> list[int]:
        """Token ids of image codes. Raises ValueError naming the first code outside the codebook."""
        codebook, offset = range(self.codebook_size), self.image_offset
        if len(codes) and not (min(codes) in codebook and max(codes) in codebook):
            position = next(place for place, code in enumerate(codes) if code not in codebook)
            raise ValueError(f"code {codes[position]} at position {position} is outside 0..{self.codebook_size - 1}")
        return [offset + code for code in codes]

    def codes(self, ids: Sequence[int]) -> list[int]:
        """Image codes of token ids. Raises ValueError naming the first id that is not an image token."""
        image, offset = range(self.image_offset, self.size), self.image_offset
        if len(ids) and not (min(ids) in image and max(ids) in image):
            position = next(place for place, token in enumerate(ids) if token not in image)
            raise ValueError(f"id {ids[position]} at position {position} is not an image token")
        return [token - offset for token in ids]
