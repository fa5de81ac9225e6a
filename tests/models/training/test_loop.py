"""A run that is killed goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from models.training.loop import finite, learning_rate, run
from tests.support.service import ROOT
from tests.support.training import VQGAN_RECIPE, vqgan_trainer

STEPS = 30
SCRIPT = """
import sys
from pathlib import Path
import torch
from tests.support.training import VQGAN_RECIPE, vqgan_trainer
from models.training.loop import run
torch.set_num_threads(1)
out, curve, slow = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
trainer = vqgan_trainer(recipe=VQGAN_RECIPE.model_copy(update={"steps": 30, "discriminator_from": 10}))
advance = trainer.advance
def noted():
    import time
    losses = advance()
    with curve.open("a") as stream:
        stream.write(f"{trainer.step} {losses!r}\\n")
    time.sleep(slow)
    return losses
trainer.advance = noted
run(trainer, "x", 30, out, save_seconds=0.0)
"""


def child(out: Path, curve: Path, slow: float) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", SCRIPT, str(out), str(curve), str(slow)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def read(curve: Path) -> dict[int, str]:
    """The last losses noted for every step."""
    lines = [line.split(" ", 1) for line in curve.read_text().splitlines()]
    return {int(step): losses for step, losses in lines}


@pytest.mark.slow
def test_a_run_killed_twice_has_bitwise_the_losses_of_an_uninterrupted_one(tmp_path: Path) -> None:
    assert child(tmp_path / "whole", tmp_path / "whole.txt", 0.0).wait(120) == 0
    expected = read(tmp_path / "whole.txt")
    curve = tmp_path / "cut.txt"
    curve.touch()
    for least in (4, 14):
        process = child(tmp_path / "cut", curve, 0.1)
        until = time.monotonic() + 60
        while max(read(curve), default=0) < least and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert child(tmp_path / "cut", curve, 0.0).wait(120) == 0
    assert len(expected) == STEPS
    assert read(curve) == expected
    assert not list((tmp_path / "cut").glob("*.partial"))


def test_the_loop_logs_samples_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    first = vqgan_trainer()
    run(first, "x", 2, tmp_path, print_every=1)
    second = vqgan_trainer()
    run(second, "x", 4, tmp_path, sample_every=3)
    assert (first.step, second.step) == (2, 4)
    assert sorted(file.name for file in (tmp_path / "samples").iterdir()) == [
        "x-000002.png",
        "x-000003.png",
        "x-000004.png",
    ]
    assert list((tmp_path / "logs" / "x").iterdir())
    run(second, "x", VQGAN_RECIPE.steps - 5, tmp_path)
    assert second.step == 4


def test_a_broken_loss_names_its_step() -> None:
    with pytest.raises(FloatingPointError, match="step 7"):
        finite(torch.tensor(float("inf")), 7)


def test_the_rate_rises_linearly_and_falls_to_a_twentieth() -> None:
    assert learning_rate(1.0, 10, 100, 4) == 0.5
    assert learning_rate(1.0, 10, 100, 10) == 1.0
    assert learning_rate(1.0, 10, 100, 100) == pytest.approx(0.05)
