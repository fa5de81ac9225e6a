"""Speculative drawing in a plain loop: how many passes of the model a drawing takes, by coupling and window.

`python -m benchmarks.speculation BUNDLE [--drawings 6]`
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from transformers import AutoModelForCausalLM

from benchmarks.machine import machine
from models.bundle import Decoding, load
from models.speculation import Coupling, FixedNoise, FreshGuesses, MaximalCoupling, draw_speculatively

_PROMPTS = ("Normal chest radiograph.", "Bacterial pneumonia.", "Viral pneumonia.")
_WINDOWS = (4, 8, 16, 32, 64)
_SETTINGS = ((0.9, 0.92), (1.0, 0.92), (1.0, 1.0))


def couplings(count: int, codes: int) -> dict[str, Callable[[int], Coupling]]:
    """Makers of couplings by name, of a seed."""
    return {
        "fixed noise": lambda seed: FixedNoise(seed, count, codes),
        "fresh guesses": FreshGuesses,
        "maximal": MaximalCoupling,
    }


def measured(path: Path, drawings: int) -> list[dict[str, float | str]]:
    """Codes a pass, by sampling, coupling and window; one code after the other has 1."""
    bundle = load(path)
    model = AutoModelForCausalLM.from_pretrained(bundle.llm).eval()
    vocabulary, count = bundle.vocabulary, bundle.image_tokens
    prompts = [
        [*bundle.prompts.draw(_PROMPTS[seed % len(_PROMPTS)]), *bundle.prompts.image_opening()]
        for seed in range(drawings)
    ]
    found: list[dict[str, float | str]] = []
    for temperature, top_p in _SETTINGS:
        decoding = Decoding(temperature=temperature, top_p=top_p, max_tokens=count)
        for name, coupling in couplings(count, vocabulary.codebook_size).items():
            for window in _WINDOWS:
                passes = [
                    draw_speculatively(model, vocabulary, prompt, decoding, count, coupling(seed), window).passes
                    for seed, prompt in enumerate(prompts)
                ]
                row: dict[str, float | str] = {"temperature": temperature, "top_p": top_p, "coupling": name}
                row |= {"window": window, "codes_a_pass": round(count * len(passes) / sum(passes), 2)}
                found.append(row)
                print(json.dumps(row), flush=True)
    return found


def main() -> int:
    """Print a row of figures for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--drawings", type=int, default=6)
    wanted = parser.parse_args()
    print(machine(), flush=True)
    measured(wanted.bundle, wanted.drawings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
