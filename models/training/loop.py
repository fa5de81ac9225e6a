"""The loop that every trainer shares: schedule, progress, logs, samples, checkpoints, resume, many devices."""

import math
import time
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from PIL import Image
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from models.training.checkpoints import load_state, save_state

_FLOOR = 0.05
SAVE_SECONDS = 180.0


def accelerator() -> Accelerator:
    """Devices as the launcher gives them; bf16 where a GPU has it, TF32 for what stays in fp32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    # Batches keep their shapes for thousands of steps, so the fastest convolution is worth a search.
    torch.backends.cudnn.benchmark = True
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return Accelerator(mixed_precision="bf16" if bf16 else "no")


def learning_rate(peak: float, warmup: int, steps: int, step: int) -> float:
    """Linear warm-up to `peak`, then half a cosine down to a twentieth of it."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (_FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def finite(loss: torch.Tensor, step: int) -> torch.Tensor:
    """The loss itself. Raises FloatingPointError naming the step where it is not finite."""
    if not torch.isfinite(loss):
        raise FloatingPointError(f"step {step}: the loss is {float(loss.detach())}; the last checkpoint is kept")
    return loss


def figures(losses: dict[str, torch.Tensor]) -> dict[str, float]:
    """Losses as numbers. All at once: every single one would make the processor wait for the GPU."""
    values = torch.stack([loss.detach().float() for loss in losses.values()]).tolist()
    return dict(zip(losses, values, strict=True))


class Trainer(Protocol):
    """A model and its optimiser, advanced one step at a time. `step` counts the steps done."""

    step: int
    accelerator: Accelerator

    def advance(self) -> dict[str, float]:
        """One optimiser step; returns its losses. Raises FloatingPointError on a loss that is not finite."""

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""

    def sample(self) -> Image.Image | None:
        """A picture of the model's current output."""


def run(
    trainer: Trainer,
    name: str,
    steps: int,
    out: Path,
    *,
    save_seconds: float = SAVE_SECONDS,
    print_every: int = 50,
    sample_every: int = 500,
    until: float = math.inf,
) -> None:
    """Advance `trainer` to `steps` from `out/NAME.state`, where there is one; or `until` that moment of
    `time.monotonic`, the last step done then being the last. Under a time limit, pictures wait for the end.

    Losses go to TensorBoard in `out/logs/NAME`, pictures to `out/samples`, the state back every `save_seconds`.
    """
    main = trainer.accelerator.is_main_process
    console = Console(quiet=not main)
    checkpoint = out / f"{name}.state"
    state = load_state(checkpoint)
    if state is not None:
        trainer.restore(state)
        console.print(f"{name}: resumed at step {trainer.step}")
    if trainer.step >= steps:
        return
    writer = SummaryWriter(str(out / "logs" / name), purge_step=trainer.step + 1) if main else None
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    saved = time.monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=steps, completed=trainer.step)
        while trainer.step < steps:
            losses = trainer.advance()
            progress.advance(task)
            last = trainer.step == steps or time.monotonic() >= until
            if writer:
                for key, value in losses.items():
                    writer.add_scalar(key, value, trainer.step)
            if trainer.step % print_every == 0 or last:
                console.print(f"step {trainer.step}  " + "  ".join(f"{k} {v:.4g}" for k, v in losses.items()))
            if main and ((trainer.step % sample_every == 0 and until == math.inf) or last):
                picture = trainer.sample()
                if picture is not None:
                    folder = out / "samples"
                    folder.mkdir(parents=True, exist_ok=True)
                    picture.save(folder / f"{name}-{trainer.step:06d}.png")
            if main and (last or time.monotonic() - saved >= save_seconds):
                save_state(checkpoint, trainer.state())
                saved = time.monotonic()
            if last:
                break
    if writer:
        writer.close()
