"""What systemd is told of the service's life (sd_notify(3)), where it asks for it."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send a state, such as READY=1, to the socket that NOTIFY_SOCKET names; without one nothing is done."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # A name that begins with @ is in the abstract name space.
    path = f"\0{address[1:]}" if address.startswith("@") else address
    with contextlib.suppress(OSError), contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
        sender.sendto(state.encode(), path)
