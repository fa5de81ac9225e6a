"""A bundle's language model under Hugging Face's `generate`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from models.bundle import Bundle


class ImageIds:
    """A logits processor that refuses everything but image ids. It runs before temperature and top-p."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, vocabulary) with -inf outside `low <= id < high`."""
        masked = torch.full_like(scores, float("-inf"))
        masked[:, self._low : self._high] = scores[:, self._low : self._high]
        return masked


class Sampler:
    """Samples from a bundle's language model on one device, in the dtype of its configuration."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._bundle = bundle
        self._device = torch.device(device)
        loaded = AutoModelForCausalLM.from_pretrained(bundle.llm, dtype="auto", local_files_only=True)
        self._model: PreTrainedModel = loaded.to(self._device).eval()
        vocabulary = bundle.vocabulary
        self._only_image_ids = [ImageIds(vocabulary.image_offset, vocabulary.size)]

    def images(
        self, prompts: Sequence[Sequence[int]], count: int, *, temperature: float, top_p: float, seed: int
    ) -> list[list[int]]:
        """Exactly `count` image ids for each prompt, as codes; one batch, padded on the left."""
        found = self._generate(
            prompts,
            seed,
            temperature,
            top_p,
            max_new_tokens=count,
            logits_processor=self._only_image_ids,
        )
        drawn = [self._bundle.vocabulary.codes(ids) for ids in found]
        if any(len(codes) != count for codes in drawn):
            raise RuntimeError(f"generate returned {[len(codes) for codes in drawn]} tokens, not {count}")
        return drawn

    def unmasked(self, prompt: Sequence[int], most: int, *, temperature: float, top_p: float, seed: int) -> list[int]:
        """Up to `most` ids of any kind, until the end token."""
        return self._generate([prompt], seed, temperature, top_p, max_new_tokens=most)[0]

    @torch.inference_mode()
    def _generate(
        self, prompts: Sequence[Sequence[int]], seed: int, temperature: float, top_p: float, **options: Any
    ) -> list[list[int]]:
        vocabulary = self._bundle.vocabulary
        width = max(len(prompt) for prompt in prompts)
        ids = torch.full((len(prompts), width), vocabulary.padding)
        attention = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            attention[row, width - len(prompt) :] = 1
        torch.manual_seed(seed)
        sampled = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        found = self._model.generate(
            ids.to(self._device),
            attention_mask=attention.to(self._device),
            eos_token_id=vocabulary.end,
            pad_token_id=vocabulary.padding,
            **(sampled if temperature > 0 else {"do_sample": False}),
            **options,
        )
        rows: list[list[int]] = found[:, width:].tolist()
        return rows
