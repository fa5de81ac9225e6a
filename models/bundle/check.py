"""Smoke test of a bundle: do its models run?"""

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from models.bundle import Bundle, BundleError
from models.screen.screen import Screen
from models.vqgan import VQGAN
from models.vqgan.pixels import to_pixels


def smoke(bundle: Bundle) -> dict[str, str]:
    """Encode a grey image, decode its codes, generate eight tokens about it with the language model; returns findings.

    Raises BundleError where a part does not load, or computes something that is not finite.
    """
    size = bundle.manifest.image.size
    ramp = np.linspace(0, 255, size * size).reshape(1, size, size).astype(np.uint8)
    try:
        with torch.inference_mode():
            vqgan = VQGAN.load(bundle.vqgan)
            codes = vqgan.encode(to_pixels(ramp, vqgan.config.in_channels))
            drawn = vqgan.decode(codes)
            llm = AutoModelForCausalLM.from_pretrained(bundle.llm, local_files_only=True)
            prompt = torch.tensor([bundle.prompts.report(codes[0].tolist())])
            logits = llm(prompt).logits
            ids = llm.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False)
    except (OSError, RuntimeError, ValueError, ValidationError) as error:
        raise BundleError(f"the models do not run: {str(error).splitlines()[0][:200]}") from error
    for name, values in (("VQ-GAN", drawn), ("language model", logits)):
        if not torch.isfinite(values).all():
            raise BundleError(f"the {name} computes values that are not finite")
    written = ids[0, prompt.shape[1] :].tolist()
    found = {
        "encoded": f"{codes.shape[1]} codes, {len(set(codes[0].tolist()))} different",
        "decoded": f"{drawn.shape[-1]} x {drawn.shape[-2]} px in {float(drawn.min()):.2f} .. {float(drawn.max()):.2f}",
        "written": f"{len(written)} tokens: {bundle.vocabulary.decode(written).strip()!r}",
    }
    if bundle.screen:
        found["looked"] = _look(bundle.screen, ramp)
    if bundle.copies is not None:
        near = bundle.copies.nearest(ramp[0])
        found["compared"] = f"with {bundle.copies.config.films} training films: {near.similarity:.3f} to the nearest"
    return found


def _look(folder: Path, picture: np.ndarray) -> str:
    try:
        (look,) = Screen.load(folder).look(picture)
    except (OSError, RuntimeError, ValueError, ValidationError) as error:
        raise BundleError(f"the screen does not run: {str(error).splitlines()[0][:200]}") from error
    if not np.isfinite([getattr(look, field.name) for field in fields(look)]).all():
        raise BundleError("the screen computes values that are not finite")
    return f"{look.kind.replace('_', ' ')}, frontal with {look.frontal:.3f}"
