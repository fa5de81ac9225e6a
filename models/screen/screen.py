"""What the screen says of pictures: probabilities, from one network and several views of each picture."""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.screen.config import ScreenConfig
from models.screen.look import Look
from models.screen.network import ScreenNetwork, shrink
from models.storage import read_config, read_weights, save_model

# A view of a picture: whether it is inverted, then whether mirrored, then its quarter turns anticlockwise.
_View = tuple[bool, bool, int]
_FIRST: tuple[_View, ...] = ((False, False, 0), (False, True, 0))
_ALL: tuple[_View, ...] = tuple(
    (grey, flip, turns) for grey in (False, True) for flip in (False, True) for turns in range(4)
)
_SURE = 0.97
_BATCH = 64


class Screen:
    """The network and its configuration. Looks are means over views: over the picture and its mirror image, and where
    these leave a doubt over all sixteen that turns, mirror and inversion make.
    """

    def __init__(self, network: ScreenNetwork, config: ScreenConfig) -> None:
        self.network = network.eval()
        self.config = config

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> Self:
        """Read what `save` wrote. Raises OSError, pydantic.ValidationError, RuntimeError."""
        config = ScreenConfig.model_validate_json(read_config(folder))
        network = ScreenNetwork(config)
        network.load_state_dict(read_weights(folder))
        return cls(network.to(device), config)

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`, weights in half precision, to `folder`."""
        network = ScreenNetwork(self.config)
        network.load_state_dict(self.network.state_dict())
        save_model(network.half(), self.config, folder)

    def look(self, pixels: np.ndarray) -> list[Look]:
        """Look at pictures as the model gets them: uint8 (N, H, W)."""
        device = next(self.network.parameters()).device
        found: list[Look] = []
        with torch.inference_mode():
            for start in range(0, len(pixels), _BATCH):
                batch = torch.from_numpy(np.array(pixels[start : start + _BATCH])).to(device)
                found.extend(Look(*row) for row in self._probabilities(shrink(batch, self.config.side)).tolist())
        return found

    def _probabilities(self, pictures: Tensor) -> Tensor:
        """(B, side, side) -> (B, 11), in the order of `Look`."""
        first = self._mean(pictures, _FIRST)
        inverted = first[:, 9]
        sure = (
            (first[:, :4].amax(1) > _SURE)
            & (first[:, 4:8].amax(1) > _SURE)
            & (torch.maximum(inverted, 1 - inverted) > _SURE)
        )
        # Nothing but kinds is asked of what is surely no film.
        unsure = (~sure & (first[:, 3] <= _SURE)).nonzero()[:, 0]
        if len(unsure):
            first[unsure] = self._mean(pictures[unsure], _ALL)
        return first

    def _mean(self, pictures: Tensor, views: tuple[_View, ...]) -> Tensor:
        seen = torch.cat([_view(pictures, view) for view in views])
        kinds, turns, flags = (part.split(len(pictures)) for part in self.network(seen))
        kind = torch.stack([F.log_softmax(one, 1) for one in kinds]).mean(0).softmax(1)
        turn = torch.stack([_turned_back(F.log_softmax(one, 1), view) for one, view in zip(turns, views, strict=True)])
        flag = torch.stack([_flagged_back(one, view) for one, view in zip(flags, views, strict=True)])
        return torch.cat([kind, turn.mean(0).softmax(1), flag.mean(0).sigmoid()], 1)


def _view(pictures: Tensor, view: _View) -> Tensor:
    inverted, mirrored, turns = view
    seen = -pictures if inverted else pictures
    seen = seen.flip(2) if mirrored else seen
    return torch.rot90(seen, turns, (1, 2))


def _turned_back(logits: Tensor, view: _View) -> Tensor:
    """Logits of a view's turns as those of the picture: mirroring exchanges left turns and right ones."""
    _, mirrored, turns = view
    sign = -1 if mirrored else 1
    return logits[:, [(turns + sign * turn) % 4 for turn in range(4)]]


def _flagged_back(logits: Tensor, view: _View) -> Tensor:
    inverted, mirrored, _ = view
    signs = [-1.0 if mirrored else 1.0, -1.0 if inverted else 1.0, 1.0]
    return logits * torch.tensor(signs, device=logits.device)
