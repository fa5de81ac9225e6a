"""Ends the engine's process with the gateway's: one that nobody can ask any more would keep the accelerator's memory,
and the next start would find none.

A plugin of vLLM (entry point `vllm.general_plugins`), which loads it into each of its processes.
"""

import os
import threading
import time

GATEWAY = "CXR_GATEWAY_PID"
_EVERY_SECONDS = 1.0


def register() -> None:
    """Watch the gateway, in the process that it has started."""
    parent = os.getppid()
    if os.environ.get(GATEWAY) == str(parent):
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_SECONDS)
    os._exit(1)
