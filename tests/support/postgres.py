"""A real PostgreSQL server on a free port, made for a test and thrown away."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.orthanc import free_port


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """URL of an empty database. Skips where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (make peers)")
    programs = found[-1].parent
    # initdb refuses to run as root; Debian's package makes this user.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = {"user": user} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="cxr-pg-"))
    port = free_port()
    try:
        if as_user:
            shutil.chown(folder, user)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "check": True, "cwd": folder, **as_user}
        data = folder / "data"
        subprocess.run([programs / "initdb", "-D", data, "-U", "cxr", "--auth=trust", "-E", "UTF8"], **quiet)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        subprocess.run([programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"], **quiet)
        try:
            subprocess.run([programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "cxr", "cxr"], **quiet)
            yield f"postgresql://cxr@127.0.0.1:{port}/cxr"
        finally:
            subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
