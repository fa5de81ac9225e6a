"""The state folder before anything is written to it: closed to others, and rid of what killed processes left."""

import contextlib
import errno
import os
import socket
import tempfile
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def close(state_dir: Path) -> None:
    """Make the folder, and close it and what is written from now on to other users. One that another user owns stays
    as it is (a volume, say), and `cxr doctor` says who may read it.
    """
    os.umask(0o077)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if state_dir.stat().st_mode & 0o077:
        try:
            state_dir.chmod(0o700)
            log.warning("the state folder was open to other users and is closed now")
        except PermissionError:
            log.warning("the state folder is open to other users, and another user owns it")


def prepare(state_dir: Path) -> None:
    """Let everything that is written, temporary files of large uploads included, lie in the closed state folder."""
    close(state_dir)
    temporary = state_dir / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    _remove_dead_sockets(temporary)
    tempfile.tempdir = str(temporary.resolve())


def _remove_dead_sockets(folder: Path) -> None:
    """What an engine that was killed left; one that answers is another node's."""
    for path in folder.iterdir():
        if path.is_socket():
            with contextlib.suppress(OSError), contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
                if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                    path.unlink()
