"""The checkpoint that the original VQ-GAN code wrote, and what that code computed with it."""

import numpy as np
import torch

from models.vqgan import VQGAN
from tests.support.service import SHARED

GOLDEN = SHARED / "taming-golden"


def check_golden(model: VQGAN) -> None:
    """The original's codes and pixels come out, but for codes between which rounding decides.

    Processors sum in different orders, so that another entry may be the nearest where two are equally far.
    """
    expected = np.load(GOLDEN / "expected.npz")
    pixels = torch.from_numpy(expected["pixels"]).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    tokens = torch.from_numpy(expected["tokens"])
    with torch.inference_mode():
        codes = model.encode(pixels)
        features = model.embed(pixels).permute(0, 2, 3, 1).reshape(-1, model.config.embed_dim).double()
        squared = torch.cdist(features, model.quantize.embedding.weight.double()).square()
        drawn = model.decode(tokens)
    ours, theirs = (squared.gather(1, found.reshape(-1, 1)) for found in (codes, tokens))
    # |x|^2 + |c|^2 - 2xc in fp32 is off by a few units in the last place (1.2e-7) of |x|^2.
    assert float(((theirs - ours).abs() / features.square().sum(1, keepdim=True)).max()) < 1e-6
    assert float((codes == tokens).float().mean()) > 0.98
    assert float((drawn - torch.from_numpy(expected["decoded"])).abs().max()) < 1e-3
