"""The loop that every trainer shares: schedule, progress, checkpoints, resume."""

import math
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.training.checkpoints import load_state, save_state

_FLOOR = 0.05


def learning_rate(peak: float, warmup: int, steps: int, step: int) -> float:
    """Linear warm-up to `peak`, then half a cosine down to a twentieth of it."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (_FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * progress)))


class Trainer(Protocol):
    """A model and its optimiser, advanced one step at a time. `step` counts the steps done."""

    step: int

    def advance(self) -> dict[str, float]:
        """One optimiser step; returns its losses. Raises FloatingPointError on a loss that is not finite."""

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


def run(trainer: Trainer, name: str, steps: int, checkpoint: Path, *, save_every: int, print_every: int) -> None:
    """Advance `trainer` to `steps`, from `checkpoint` where there is one, writing it as it goes."""
    console = Console()
    state = load_state(checkpoint)
    if state is not None:
        trainer.restore(state)
        console.print(f"Resumed at step {trainer.step}")
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=steps, completed=trainer.step)
        while trainer.step < steps:
            losses = trainer.advance()
            progress.advance(task)
            if trainer.step % print_every == 0:
                console.print(f"step {trainer.step}  " + "  ".join(f"{k} {v:.4g}" for k, v in losses.items()))
            if trainer.step % save_every == 0 or trainer.step == steps:
                save_state(checkpoint, trainer.state())
