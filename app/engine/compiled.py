"""Has later starts load what the first one compiled.

vLLM saves what it compiles, loads it at the next start, and calls its `finalize_loading`. Only what vLLM's own backend
compiled has that: on a CPU the whole model is compiled by torch's, whose function is finished when it is loaded. vLLM
0.32 takes the missing name for a damaged file and compiles at every start, 45 of 70 seconds on two cores.
"""

from typing import Any

import torch

_load = torch.compiler.load_compiled_function


def _load_finished(*args: Any, **kwargs: Any) -> Any:
    """As torch's function, with the name that vLLM asks for."""
    found: Any = _load(*args, **kwargs)
    compiled = found._artifacts.compiled_fn
    if not hasattr(compiled, "finalize_loading"):
        compiled.finalize_loading = _finished
    return found


def _finished(config: object) -> None:
    """There is nothing left to load."""


def load_what_was_compiled() -> None:
    """Let vLLM load, in this process, a compiled model that is finished as it is. May be called again."""
    torch.compiler.load_compiled_function = _load_finished
