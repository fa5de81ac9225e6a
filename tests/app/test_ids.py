import re
import subprocess
import sys

from app.ids import new_id, new_seed


def test_ids_differ_and_can_stand_in_a_header_or_a_log_line() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{32}", identity) for identity in ids)


def test_processes_that_start_together_do_not_share_ids() -> None:
    command = [sys.executable, "-c", "from app.ids import new_id; print(new_id())"]
    first, second = (subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2))
    assert first != second


def test_seeds_fit_every_sampler() -> None:
    assert all(0 <= new_seed() < 2**31 for _ in range(1000))
