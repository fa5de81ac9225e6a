"""Work over pipes: what a child answers, and what its parent makes of a child that misbehaves."""

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.contenders.process import ContenderError
from benchmarks.contenders.protocol import Contender, Done, Handler, Work, serve

WORK = Work([[1, 2], [3]], [0, 1], decode=False, limit=5)

CHILD = """
import contextlib, os, subprocess, sys
from benchmarks.contenders.protocol import Done, claim_stdout, serve
channel = claim_stdout()
print("printed")
os.write(1, b"written to the descriptor\\n")
subprocess.run(["echo", "said by a child of the child"])

@contextlib.contextmanager
def load():
    def handler(work):
        print("drawing")
        if work.limit == 1:
            raise ValueError("one is too few")
        if work.limit == 2:
            os._exit(3)
        if work.limit == 3:
            import time
            time.sleep(60)
        return Done(1.5, 1.0, 0.5, len(work.prompts), sum(map(sum, work.prompts)), 7)
    yield handler
    print("closed in order", file=sys.stderr)

serve(load, channel)
"""


def contender(log: Path, script: str = CHILD, start_timeout: float = 30.0, **options: float) -> Contender:
    return Contender([sys.executable, "-c", script], log, start_timeout=start_timeout, **options)


def limited(limit: int) -> Work:
    return Work([[1]], [0], limit=limit)


def test_a_child_loads_says_that_it_is_ready_and_answers_line_by_line() -> None:
    seen: list[Work] = []
    ended = []

    @contextlib.contextmanager
    def load() -> Iterator[Handler]:
        def handler(work: Work) -> Done:
            seen.append(work)
            return Done(2.0, 1.5, 0.5, 2, 10, 2)

        yield handler
        ended.append(True)

    lines = io.StringIO('{"prompts": [[1, 2], [3]], "seeds": [0, 1], "decode": false, "limit": 5}\n{"prompts": []}\n')
    said = io.StringIO()
    serve(load, said, lines)
    ready, done, refused = (json.loads(line) for line in said.getvalue().splitlines())
    assert ready["ready"] >= 0
    assert seen == [WORK]
    assert Done(**done) == Done(2.0, 1.5, 0.5, 2, 10, 2)
    assert "ValidationError" in refused["error"]
    assert ended == [True]


def test_a_piece_of_work_goes_there_and_back_and_noise_on_stdout_lands_in_the_log(log: Path) -> None:
    with contender(log) as started:
        assert started.start_seconds >= started.load_seconds >= 0
        assert started.work(WORK) == Done(1.5, 1.0, 0.5, 2, 6, 7)
        assert started.work(WORK).images == 2
    said = log.read_text()
    for noise in ("printed", "written to the descriptor", "said by a child of the child", "drawing", "closed in order"):
        assert noise in said


def test_refused_work_is_an_error_after_which_the_contender_goes_on(log: Path) -> None:
    with contender(log) as started:
        with pytest.raises(ContenderError, match="ValueError: one is too few"):
            started.work(limited(1))
        assert started.work(WORK).tokens == 6


def test_a_contender_that_dies_shows_the_end_of_its_log(log: Path) -> None:
    with contender(log) as started, pytest.raises(ContenderError, match=r"(?s)the contender has died.*drawing"):
        started.work(limited(2))


def test_a_contender_that_never_becomes_ready_shows_why(log: Path) -> None:
    with pytest.raises(ContenderError, match="no such model"), contender(log, "raise SystemExit('no such model')"):
        pytest.fail("it is not ready")


def test_a_slow_contender_is_given_up_and_killed(log: Path) -> None:
    began = time.monotonic()
    with contender(log, stop_seconds=0.1) as started, pytest.raises(ContenderError, match="within 0 s"):
        started.work(limited(3), timeout=0.2)
    assert time.monotonic() - began < 20
    with (
        pytest.raises(ContenderError, match="within 1 s"),
        contender(log, "import time; time.sleep(60)", start_timeout=0.6, stop_seconds=0.1),
    ):
        pytest.fail("it is not ready")


@pytest.mark.parametrize("change", [{"seeds": [1]}, {"prompts": [], "seeds": []}, {"limit": 0}])
def test_work_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"prompts|limit"):
        Work(**{"prompts": [[1], [2]], "seeds": [0, 1], **change})  # type: ignore[arg-type]


def test_an_image_that_is_cut_short_cannot_be_decoded() -> None:
    assert Work([[1]], [0]).tokens_of_image(256) == 256
    assert Work([[1]], [0], limit=300).tokens_of_image(256) == 256
    assert Work([[1]], [0], limit=24, decode=False).tokens_of_image(256) == 24
    with pytest.raises(ValueError, match="cut short at 24"):
        limited(24).tokens_of_image(256)
