"""Names and shapes of a language model's tensors: what its weight files must hold."""

from dataclasses import dataclass, field

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

INDEX_FILE = "model.safetensors.index.json"
# Buffers that older GPT-NeoX files hold and that the model computes itself.
_BUFFERS = (".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq")
# The output layer in files of GPT-NeoX as they are published: what transformers calls it.
_PUBLISHED_NAMES = {"embed_out.weight": "lm_head.weight"}


class ShapeError(ValueError):
    """A tensor that the model does not have, or has in another shape, or that is missing; the message names it."""


@dataclass
class Shapes:
    """Names and shapes that the model wants; what is still missing shrinks as tensors arrive."""

    wanted: dict[str, tuple[int, ...]]
    optional: frozenset[str]
    dropped: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def known_as(self, name: str) -> str:
        """The model's own name of a tensor that a file calls `name`."""
        own = _PUBLISHED_NAMES.get(name, name)
        return own if own in self.wanted and name not in self.wanted else name

    def take(self, file: str, name: str, shape: tuple[int, ...]) -> bool:
        """Whether tensor `name` belongs to the model. Raises ShapeError for an unknown name or another shape."""
        if name not in self.wanted:
            if name.endswith(_BUFFERS):
                self.dropped.append(name)
                return False
            raise ShapeError(f"{file}: the model has no tensor {name}")
        if shape != self.wanted[name]:
            raise ShapeError(f"{file}: {name} is {shape}, config.json says {self.wanted[name]}")
        if name in self.seen:
            raise ShapeError(f"{file}: {name} occurs twice")
        self.seen.add(name)
        return True

    def check(self, folder: str) -> None:
        """Raises ShapeError naming a tensor that no file held."""
        missing = sorted(self.wanted.keys() - self.seen - self.optional)
        if missing:
            raise ShapeError(f"{folder} lacks {len(missing)} tensors, the first is {missing[0]}")


def shapes_of(config: PretrainedConfig) -> Shapes:
    """The tensors of the model's state, without allocating one."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    tied = frozenset(getattr(model, "all_tied_weights_keys", None) or ())
    return Shapes({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tied)
