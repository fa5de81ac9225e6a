"""Hostile code in a decoder: each thing that it tries is refused by the kernel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT

_ATTEMPTS = """
import ctypes, json, os, socket, subprocess, sys, threading
from app.imaging.confine import confine

parent, secret, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
inherited = os.open(secret, os.O_RDONLY)
os.close(inherited)
missing = confine(4096)
libc = ctypes.CDLL(None, use_errno=True)
ATTEMPTS = {
    "read a file": lambda: open(secret).read(),
    "read /etc/passwd": lambda: open("/etc/passwd").read(),
    "list a folder": lambda: os.listdir(folder),
    "write a file": lambda: open(folder + "/new", "w"),
    "append to a file": lambda: open(secret, "a"),
    "truncate a file": lambda: os.truncate(secret, 0),
    "remove a file": lambda: os.unlink(secret),
    "make a folder": lambda: os.mkdir(folder + "/x"),
    "rename a file": lambda: os.rename(secret, secret + "2"),
    "change a mode": lambda: os.chmod(secret, 0o777),
    "open a socket": lambda: socket.socket(),
    "open a unix socket": lambda: socket.socket(socket.AF_UNIX),
    "open a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "a socket pair": lambda: socket.socketpair(),
    "fork": os.fork,
    "start a thread": lambda: threading.Thread(target=print).start(),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "start a program": lambda: subprocess.run(["/bin/true"]),
    "signal the gateway": lambda: os.kill(parent, 0),
    "signal itself": lambda: os.kill(os.getpid(), 0),
    "read the gateway's memory": lambda: open(f"/proc/{parent}/mem", "rb").read(1),
    "read the gateway's environment": lambda: open(f"/proc/{parent}/environ", "rb").read(1),
    "trace the gateway": lambda: check(libc.ptrace(16, parent, 0, 0)),
    "change the gateway's limits": lambda: check(libc.syscall(302, parent, 7, 0, 0)),
    "read another process": lambda: check(libc.syscall(310, parent, 0, 0, 0, 0, 0)),
    "make a file in memory": lambda: os.memfd_create("x"),
    "io_uring": lambda: check(libc.syscall(425, 1, 0)),
    "bpf": lambda: check(libc.syscall(321, 0, 0, 0)),
    "gain privileges": lambda: check(libc.prctl(38, 0, 0, 0, 0)),
    "become another user": lambda: os.setuid(0),
    "a large file": lambda: os.ftruncate(2, 1 << 20),
}


def check(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")


found = {}
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
        found[name] = "done"
    except (OSError, RuntimeError, ValueError) as error:
        found[name] = "refused"
import zlib, decimal, encodings.idna  # what is imported late still can be
print(json.dumps({"missing": missing, "found": found, "environment": sorted(os.environ)}))
"""


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("hostile")
    secret = folder / "keys.json"
    secret.write_text("secret")
    command = [sys.executable, "-c", _ATTEMPTS, str(os.getpid()), str(secret), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert secret.read_text() == "secret"
    assert [path.name for path in folder.iterdir()] == ["keys.json"]
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_every_attempt_of_hostile_code_is_refused(attempts: dict[str, object]) -> None:
    if attempts["missing"]:
        pytest.skip(f"this kernel lacks {attempts['missing']}")
    found = attempts["found"]
    assert isinstance(found, dict)
    assert {name: outcome for name, outcome in found.items() if outcome != "refused"} == {}


def test_a_decoder_sees_no_variable_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.imaging.decoder_handle import DecoderHandle
    from app.settings import ImagingSettings

    monkeypatch.setenv("CXR_WEBHOOK__SECRET", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    handle = DecoderHandle(ImagingSettings())
    try:
        environment = Path(f"/proc/{handle.pid}/environ").read_bytes() if os.geteuid() == 0 else b""
        assert b"secret" not in environment
        # Its socket, the closed standard streams, and nothing of the gateway's.
        if os.geteuid() == 0:
            assert len(list(Path(f"/proc/{handle.pid}/fd").iterdir())) <= 4
    finally:
        handle.kill()
