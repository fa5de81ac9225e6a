"""The ceiling on the real engine."""

from pathlib import Path

import pytest

from benchmarks.contenders.huggingface import Sampler
from benchmarks.contenders.process import contender_command
from benchmarks.contenders.protocol import Contender, Work
from models.bundle import Bundle

pytestmark = pytest.mark.engine


@pytest.mark.slow
def test_whole_images_come_of_the_command(tiny: Bundle, prompts: list[list[int]], log: Path, tmp_path: Path) -> None:
    command = contender_command("raw", tiny.path, "cpu", 1, "--eager", "--cache", str(tmp_path / "cache"))
    with Contender(command, log, start_timeout=240) as contender:
        done = contender.work(Work(prompts * 2, [0, 1, 2, 3]))
        short = contender.work(Work(prompts, [0, 1], limit=5, decode=False))
    assert (done.images, done.tokens, done.attempts) == (4, 1024, 4)
    assert done.seconds >= done.generate_seconds > done.decode_seconds > 0
    assert (short.images, short.tokens, short.decode_seconds < 0.01) == (0, 10, True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Importing parts of torch on the first use warns of their end.
def test_the_greedy_codes_are_those_of_hugging_face(tiny: Bundle, prompts: list[list[int]], tmp_path: Path) -> None:
    from app.settings import EngineSettings
    from benchmarks.contenders.raw import Ceiling

    ceiling = Ceiling(tiny, "cpu", EngineSettings(enforce_eager=True), tmp_path / "cache")
    try:
        codes = ceiling.codes(Work(prompts, [0, 0], temperature=0.0, top_p=1.0, decode=False, limit=8))
    finally:
        ceiling.close()
    assert codes == Sampler(tiny, "cpu").images(prompts, 8, temperature=0.0, top_p=1.0, seed=0)
