import subprocess
import sys
import threading

import psutil
import pytest

from app.engine.parent import GATEWAY, register

_ENGINE = """
import os, time
from app.engine.parent import register
register()
print(os.getpid(), flush=True)
time.sleep(60)
"""
_STARTED_BY = f"""
import os, subprocess, sys
os.environ["{GATEWAY}"] = str(os.getpid())
subprocess.run([sys.executable, "-c", {_ENGINE!r}])
"""


def test_the_engine_ends_when_the_gateway_that_started_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _STARTED_BY], stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        engine = psutil.Process(int(gateway.stdout.readline()))
        gateway.kill()
    engine.wait(10)


def test_a_process_that_no_gateway_started_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GATEWAY, raising=False)
    register()
    assert "parent" not in [thread.name for thread in threading.enumerate()]
