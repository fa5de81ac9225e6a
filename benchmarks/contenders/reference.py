"""The published loop: Hugging Face `generate`, one image after the other, each decoded alone (LLM-CXR, official code).

Masked, every attempt is an image: the loop at its best, and the only way with random weights. Unmasked, an attempt has
300 tokens and counts where exactly one image's ids are among them; otherwise the next seed tries.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

from benchmarks.contenders.decoding import Decoder
from benchmarks.contenders.huggingface import Sampler
from benchmarks.contenders.protocol import Done, Handler, Work
from models.bundle import Bundle

# The published code's max_new_tokens of an image.
MOST_NEW_TOKENS = 300


class Reference:
    """Draws one image at a time."""

    def __init__(self, bundle: Bundle, sampler: Sampler, decoder: Decoder, *, unmasked: bool) -> None:
        self._bundle = bundle
        self._sampler = sampler
        self._decoder = decoder
        self._unmasked = unmasked

    def __call__(self, work: Work) -> Done:
        """Do a piece of work. Raises ValueError where an unmasked one has no `limit` of attempts."""
        if self._unmasked and work.limit is None:
            raise ValueError("unmasked work needs a limit of attempts: random weights never end of themselves")
        draw = self._attempts if self._unmasked else self._one
        whole = self._bundle.image_tokens
        started = time.perf_counter()
        generating = decoding = 0.0
        images = tokens = attempts = 0
        for prompt, seed in zip(work.prompts, work.seeds, strict=True):
            begun = time.perf_counter()
            codes, generated, tried = draw(prompt, seed, work)
            generating += time.perf_counter() - begun
            tokens, attempts = tokens + generated, attempts + tried
            if len(codes) != whole:
                continue
            images += 1
            if work.decode:
                begun = time.perf_counter()
                self._decoder.decode([codes])
                decoding += time.perf_counter() - begun
        return Done(time.perf_counter() - started, generating, decoding, images, tokens, attempts)

    def _one(self, prompt: Sequence[int], seed: int, work: Work) -> tuple[list[int], int, int]:
        count = work.tokens_of_image(self._bundle.image_tokens)
        codes = self._sampler.images([prompt], count, temperature=work.temperature, top_p=work.top_p, seed=seed)[0]
        return codes, count, 1

    def _attempts(self, prompt: Sequence[int], seed: int, work: Work) -> tuple[list[int], int, int]:
        """Codes of the first attempt that holds a whole image, else none; tokens and number of all attempts."""
        vocabulary, tokens, most = self._bundle.vocabulary, 0, work.limit or 1
        for attempt in range(most):
            ids = self._sampler.unmasked(
                prompt, MOST_NEW_TOKENS, temperature=work.temperature, top_p=work.top_p, seed=seed + attempt
            )
            tokens += len(ids)
            found = [token for token in ids if token >= vocabulary.image_offset]
            if len(found) == self._bundle.image_tokens:
                return vocabulary.codes(found), tokens, attempt + 1
        return [], tokens, most


@contextlib.contextmanager
def opened(bundle: Bundle, device: str, *, unmasked: bool) -> Iterator[Handler]:
    """A loaded reference, for `protocol.serve`."""
    yield Reference(bundle, Sampler(bundle, device), Decoder(bundle, device), unmasked=unmasked)
