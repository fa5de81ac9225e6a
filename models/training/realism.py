"""Which of the model's own drawings to learn from: those that stand where real films stand.

A classifier alone is surest of fog, and a model taught by it draws fog. Here drawings are matched one by one to real
films of their condition in what both can be measured by: structure, spectrum, brightness, likelihood under the model,
and a discriminator of real and drawn codes. The kept drawings so have the real films' distribution of these measures.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from models.data.structure import averaged, spectrum, structure
from models.prompts import Prompts

_WIDTH = 48
_STEPS = 240
_BATCH = 128
_NLL_BATCH = 128


class CodeDiscriminator(nn.Module):
    """One logit for a grid of codes, int64 (N, side, side): high for real."""

    def __init__(self, codebook_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, _WIDTH)
        self.layers = nn.Sequential(
            nn.Dropout2d(0.2),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.GroupNorm(8, _WIDTH),
            nn.SiLU(),
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, stride=2, padding=1),
            nn.GroupNorm(8, 2 * _WIDTH),
            nn.SiLU(),
            nn.Dropout2d(0.2),
            nn.Conv2d(2 * _WIDTH, 2 * _WIDTH, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        self.head = nn.Linear(2 * _WIDTH, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (N,)."""
        maps = self.layers(self.embedding(codes).permute(0, 3, 1, 2))
        logits: Tensor = self.head(maps.mean((2, 3)))[:, 0]
        return logits


def discriminated(
    real: np.ndarray, drawn: np.ndarray, codebook_size: int, device: torch.device, steps: int = _STEPS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of real and of drawn codes, (N, grid) and (M, grid), each by a discriminator that has not seen it.

    Two discriminators are trained, one on either half, and judge the other half (cross-fitting).
    """
    side = int(real.shape[1] ** 0.5)
    sets = [torch.from_numpy(codes.astype(np.int64)).view(-1, side, side).to(device) for codes in (real, drawn)]
    logits = [torch.zeros(len(codes), device=device) for codes in sets]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for half in (0, 1):
            model = CodeDiscriminator(codebook_size).to(device)
            optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
            seen = [codes[1 - half :: 2] for codes in sets]
            size = min(_BATCH, *map(len, seen))
            truth = torch.cat([torch.ones(size), torch.zeros(size)]).to(device)
            for _ in range(steps):
                picked = [codes[torch.randint(len(codes), (size,), device=device)] for codes in seen]
                made = model(torch.cat(picked))
                optimiser.zero_grad(set_to_none=True)
                loss = F.binary_cross_entropy_with_logits(made, truth)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            model.eval()
            with torch.inference_mode():
                for codes, found in zip(sets, logits, strict=True):
                    found[half::2] = model(codes[half::2])
    return logits[0].cpu().numpy(), logits[1].cpu().numpy()


@torch.inference_mode()
def likelihood(model: PreTrainedModel, prompts: Prompts, codes: np.ndarray) -> np.ndarray:
    """Mean log-likelihood of a code of every image (N, grid), as one that no text describes: nats, (N,)."""
    opening = torch.tensor(prompts.before_image(), device=model.device)
    offset, size = prompts.vocabulary.image_offset, prompts.vocabulary.size
    found = []
    for start in range(0, len(codes), _NLL_BATCH):
        wanted = torch.from_numpy(codes[start : start + _NLL_BATCH].astype(np.int64)).to(model.device)
        ids = torch.cat([opening.expand(len(wanted), -1), wanted + offset], 1)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
            logits = model(input_ids=ids, use_cache=False).logits[:, len(opening) - 1 : -1, offset:size]
        losses = F.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), reduction="none")
        found.append(-losses.view_as(wanted).mean(1).cpu())
    return torch.cat(found).numpy()


def measures(images: np.ndarray, likelihoods: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """What is matched, of images uint8 (N, H, W): float64 (N, measures). Spectra are those of the images at 64 px."""
    powers = np.log(spectrum(averaged(images))[:, 1:] + 1e-6)
    return np.column_stack([structure(images), powers, images.mean((1, 2)), likelihoods, logits])


def matched(real: np.ndarray, drawn: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of `drawn` measures (M, K), each the nearest one left to a random one of `real` (N, K): at most `count`.

    Distances are Euclidean in units of the real films' deviations. A third at most of `drawn` is taken, since the last
    one left is nobody's match.
    """
    middle, width = real.mean(0), real.std(0) + 1e-9
    a, b = (real - middle) / width, (drawn - middle) / width
    wanted = min(count, len(b) // 3 if len(b) >= 3 else len(b))
    distances = ((a[:, None] - b[None]) ** 2).sum(2)
    taken: list[int] = []
    for row in rng.choice(len(a), wanted, replace=len(a) < wanted):
        nearest = int(distances[row].argmin())
        taken.append(nearest)
        distances[:, nearest] = np.inf
    return np.array(taken, np.int64)
