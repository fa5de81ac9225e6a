r"""The prompts of LLM-CXR as token ids.

    {intro}\n\n### Instruction:\n{instruction}\n\nInput:\n{input}\n\n### Response:\n

The template is tokenised in pieces: control tokens are placed as ids, user text is tokenised with special tokens off,
and an image is `<`, its image ids, `>`. The pieces meet where the pre-tokenizer splits anyway, so the ids are those of
the reference implementation, which tokenises the whole string.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from models.vocabulary import Vocabulary

INTRO = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
REPORT_INSTRUCTION = "Generate free-text radiology reports for the entered chest X-ray images."
DRAW_INSTRUCTION = (
    "Generate a chest X-ray image that corresponds to the entered free-text radiology reports"
    + " for the chest X-ray image."
)
# What a guided drawing moves away from: an image that is to be read, or a request that says nothing.
Unconditional = Literal["before_image", "empty"]


@dataclass(frozen=True)
class Prompts:
    """Builds the four kinds of prompts over one vocabulary."""

    vocabulary: Vocabulary

    def report(self, codes: Sequence[int], instruction: str = REPORT_INSTRUCTION) -> list[int]:
        """Prompt that asks for a report on the image with these codes."""
        head = self._report_head if instruction == REPORT_INSTRUCTION else self._head(instruction)
        return self._framed([*head, *self.image_span(codes), *self._gap])

    def answer(self, codes: Sequence[int], question: str) -> list[int]:
        """Prompt that asks a question about the image with these codes."""
        return self.report(codes, instruction=question)

    def draw(self, text: str, instruction: str = DRAW_INSTRUCTION) -> list[int]:
        """Prompt that asks for an image of what `text` describes."""
        return self._framed(self.vocabulary.encode(f"\n{instruction}\n\nInput:\n{text}\n\n"))

    def instruct(self, instruction: str) -> list[int]:
        """Prompt of plain instruction following: no input."""
        return self._framed(self.vocabulary.encode(f"\n{instruction}\n\n"))

    def image_span(self, codes: Sequence[int]) -> list[int]:
        """An image inside a prompt: `<`, the image ids, `>`."""
        v = self.vocabulary
        return [v.image_open, *v.image_ids(codes), v.image_close]

    def before_image(self) -> list[int]:
        """What precedes the first image id of a radiograph that is to be reported."""
        prompt = self.report([])
        return prompt[: prompt.index(self.vocabulary.image_close)]

    def image_opening(self) -> list[int]:
        """What precedes the first image id of a drawn answer."""
        return [self.vocabulary.image_open]

    def unconditional(self, kind: Unconditional, instruction: str = DRAW_INSTRUCTION) -> list[int]:
        """The unconditional prompt of a guided drawing, up to its first image id (Ho and Salimans 2022)."""
        return self.before_image() if kind == "before_image" else [*self.draw("", instruction), *self.image_opening()]

    def written(self, text: str) -> list[int]:
        """A text answer as the model is trained to give it."""
        v = self.vocabulary
        return [*v.encode(f"{text}\n\n"), v.end]

    def drawn(self, codes: Sequence[int]) -> list[int]:
        """A drawn answer as the model is trained to give it."""
        v = self.vocabulary
        return [*self.image_span(codes), *v.encode("\n\n"), v.end]

    def _framed(self, body: list[int]) -> list[int]:
        v = self.vocabulary
        return [*self._intro, v.instruction, *body, v.response]

    def _head(self, instruction: str) -> list[int]:
        return self.vocabulary.encode(f"\n{instruction}\n\nInput:\n")

    # What no request changes is tokenised once.
    @cached_property
    def _report_head(self) -> list[int]:
        return self._head(REPORT_INSTRUCTION)

    @cached_property
    def _intro(self) -> list[int]:
        return self.vocabulary.encode(f"{INTRO}\n\n")

    @cached_property
    def _gap(self) -> list[int]:
        return self.vocabulary.encode("\n\n")
