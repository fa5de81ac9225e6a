"""The state folder at a start: what an earlier process left in it."""

import contextlib
import socket

from app.settings import Settings
from tests.support.service import running


async def test_sockets_that_nobody_answers_at_are_removed_and_those_of_others_stay(settings: Settings) -> None:
    folder = settings.state_dir / "tmp"
    folder.mkdir(parents=True)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(folder / "dead"))
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as alive:
        alive.bind(str(folder / "alive"))
        alive.listen()
        async with running(settings):
            assert {path.name for path in folder.iterdir() if path.is_socket()} == {"alive"}
