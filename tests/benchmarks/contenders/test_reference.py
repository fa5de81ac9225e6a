"""The published loop: what counts as an image, an attempt, a token."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.contenders.decoding import Decoder
from benchmarks.contenders.huggingface import Sampler
from benchmarks.contenders.protocol import Work
from benchmarks.contenders.reference import MOST_NEW_TOKENS, Reference
from models.bundle import Bundle


class Scripted:
    """Answers attempts by seed with so many image ids among text ids."""

    def __init__(self, bundle: Bundle, image_ids: dict[int, int]) -> None:
        self._offset = bundle.vocabulary.image_offset
        self._image_ids = image_ids

    def unmasked(self, prompt: Sequence[int], most: int, *, seed: int, **_: float) -> list[int]:
        count = self._image_ids[seed]
        return [*[self._offset] * count, *[5] * (most - count)]


class Counting:
    """A decoder that counts."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def decode(self, codes: Sequence[Sequence[int]]) -> np.ndarray:
        self.batches.append(len(codes))
        return np.zeros((len(codes), 256, 256), np.uint8)


@pytest.fixture(scope="module")
def sampler(tiny: Bundle) -> Sampler:
    return Sampler(tiny, "cpu")


def test_masked_every_attempt_is_an_image_decoded_alone(
    tiny: Bundle, sampler: Sampler, prompts: list[list[int]]
) -> None:
    decoder = Counting()
    done = Reference(tiny, sampler, decoder, unmasked=False)(Work(prompts, [1, 2]))  # type: ignore[arg-type]
    assert (done.images, done.tokens, done.attempts) == (2, 512, 2)
    assert decoder.batches == [1, 1]
    assert done.seconds >= done.generate_seconds + done.decode_seconds > 0


def test_a_limit_cuts_images_short_and_they_are_not_decoded(
    tiny: Bundle, sampler: Sampler, prompts: list[list[int]]
) -> None:
    decoder = Counting()
    reference = Reference(tiny, sampler, decoder, unmasked=False)  # type: ignore[arg-type]
    done = reference(Work(prompts, [1, 2], limit=3, decode=False))
    assert (done.images, done.tokens, done.attempts, decoder.batches) == (0, 6, 2, [])


def test_unmasked_attempts_go_on_until_one_holds_exactly_one_image(tiny: Bundle) -> None:
    scripted, decoder = Scripted(tiny, {10: 255, 11: 257, 12: 256, 20: 0, 21: 1, 22: 2}), Counting()
    reference = Reference(tiny, scripted, decoder, unmasked=True)  # type: ignore[arg-type]
    done = reference(Work([[1], [1]], [10, 20], limit=3))
    assert (done.images, done.attempts, done.tokens) == (1, 6, 6 * MOST_NEW_TOKENS)
    assert decoder.batches == [1]
    with pytest.raises(ValueError, match="limit of attempts"):
        reference(Work([[1]], [10]))


def test_unmasked_samples_any_id(tiny: Bundle, sampler: Sampler, prompts: list[list[int]]) -> None:
    ids = sampler.unmasked(prompts[0], 4, temperature=1.0, top_p=0.92, seed=0)
    assert 1 <= len(ids) <= 4
    assert min(ids) < tiny.vocabulary.image_offset


def test_a_seed_gives_the_same_codes_again_and_another_one_others(
    tiny: Bundle, sampler: Sampler, prompts: list[list[int]]
) -> None:
    first, again, other = (sampler.images(prompts, 8, temperature=1.0, top_p=0.92, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_padded_batch_draws_what_each_prompt_draws_alone(
    tiny: Bundle, sampler: Sampler, prompts: list[list[int]]
) -> None:
    assert len({len(prompt) for prompt in prompts}) == 2
    greedy = {"temperature": 0.0, "top_p": 1.0, "seed": 0}
    together = sampler.images(prompts, 8, **greedy)  # type: ignore[arg-type]
    assert together == [sampler.images([prompt], 8, **greedy)[0] for prompt in prompts]  # type: ignore[arg-type]


def test_the_decoder_draws_a_batch_of_radiographs(tiny: Bundle) -> None:
    images = Decoder(tiny, "cpu").decode([[0] * 256, [1] * 256])
    assert images.shape == (2, 256, 256)
    assert images.dtype == np.uint8
