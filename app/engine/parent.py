"""Ties the engine's process to the gateway's: it ends with it, and not before.

An orphaned engine would keep the accelerator's memory, and the next start would find none. An interrupt from a terminal
reaches both at once: the engine ignores it, so that requests under way have the gateway's time to finish.

A plugin of vLLM (entry point `vllm.general_plugins`), which loads it into each of its processes.
"""

import os
import signal
import threading
import time

GATEWAY = "CXR_GATEWAY_PID"
_EVERY_SECONDS = 1.0


def register() -> None:
    """Watch the gateway, in the process that it has started, and leave interrupts to it."""
    parent = os.getppid()
    if os.environ.get(GATEWAY) != str(parent):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_SECONDS)
    os._exit(1)
