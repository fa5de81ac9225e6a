"""The server that does nothing."""

import sys
from pathlib import Path

import httpx

from benchmarks.contenders.served import ServedContender


def test_it_reads_a_body_and_answers(tmp_path: Path) -> None:
    with ServedContender([sys.executable, "-m", "benchmarks.contenders.bare"], tmp_path / "log") as contender:
        answered = httpx.post(f"{contender.url}/v1/reports", content=b"x" * 1_000_000, trust_env=False)
    assert answered.status_code == 200
    assert answered.json() == {}
