"""One bundle beside another: how long a report and a drawing take alone, on the same machine in turn.

`python -m benchmarks.bundles BEFORE AFTER [--rounds 7]`
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

import httpx

from app.dicom.sample import sample_dicom
from benchmarks.contenders.process import ended_with_us
from benchmarks.machine import machine
from benchmarks.measure import Spread
from benchmarks.service import Service

_TIMEOUT = 600.0


def report(client: httpx.Client, seed: int) -> dict[str, float]:
    """Seconds of a report, and of each of its tokens: the texts of two models differ in length."""
    began = time.perf_counter()
    answer = client.post("/v1/reports", files={"image": sample_dicom()}, data={"seed": str(seed)}).raise_for_status()
    taken = time.perf_counter() - began
    return {"a report": taken, "a token of a report": taken / float(answer.json()["usage"]["completion_tokens"])}


def drawing(client: httpx.Client, seed: int) -> dict[str, float]:
    """Seconds of a drawing."""
    began = time.perf_counter()
    body = {"prompt": "Normal chest radiograph.", "seed": seed}
    client.post("/v1/images/generations", json=body).raise_for_status()
    return {"a drawing": time.perf_counter() - began}


def compared(before: Path, after: Path, rounds: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds of each kind of work by bundle, in the order of the rounds; each round asks both."""
    found: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        clients = {}
        for name, bundle in (("before", before), ("after", after)):
            (folder / name).mkdir()
            service = stack.enter_context(Service(folder / name, bundle=bundle))
            clients[name] = stack.enter_context(httpx.Client(base_url=service.url, timeout=_TIMEOUT, trust_env=False))
        for seed in range(rounds + 1):
            for work in (report, drawing):
                for name, client in clients.items():
                    for what, taken in work(client, seed).items():
                        if seed:  # the first warms up
                            found.setdefault(what, {}).setdefault(name, []).append(taken)
    return found


def main() -> int:
    """Print medians, and ratios within a round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    with ended_with_us(), tempfile.TemporaryDirectory() as folder:
        found = compared(wanted.before, wanted.after, wanted.rounds, Path(folder))
    print(machine())
    for what, times in found.items():
        ratio = Spread.from_values([two / one for one, two in zip(times["before"], times["after"], strict=True)])
        medians = {name: round(Spread.from_values(values).median, 4) for name, values in times.items()}
        print(what, json.dumps(medians), f"ratio {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
