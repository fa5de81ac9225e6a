"""What an exact resume needs of a trainer that has one network and one optimiser."""

from typing import Any

import torch
from accelerate import Accelerator
from pydantic import BaseModel
from torch import nn


class Resumable:
    """A trainer whose `state` is its network's, its optimiser's and its step."""

    recipe: BaseModel
    accelerator: Accelerator
    model: nn.Module
    optimiser: torch.optim.Optimizer
    step: int

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""
        return {
            "step": self.step,
            "model": self.accelerator.unwrap_model(self.model).state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": self.recipe.model_dump(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
