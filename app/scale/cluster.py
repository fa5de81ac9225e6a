"""The connection to a Ray cluster, and how its parts are named there."""

import ipaddress
import os
import socket

import ray
import structlog

from app.errors import CxrError
from app.settings import ScaleSettings

log = structlog.get_logger(__name__)

# The Serve application of each deployment: an engine is updated without the codec.
APPLICATIONS = {"Engine": "cxr-engine", "Codec": "cxr-codec"}


def connect(settings: ScaleSettings) -> None:
    """Join the cluster as a driver, once a process.

    Raises CxrError where there is none, or where it is reached over a network without Ray's tokens: whoever reaches a
    cluster without them runs code in it.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "auto") if settings.address == "auto" else settings.address
    if address != "auto" and not _is_loopback(address) and os.environ.get("RAY_AUTH_MODE") != "token":
        raise CxrError(
            "A Ray cluster on a network needs RAY_AUTH_MODE=token: without it, whoever reaches it runs code in it.",
            code="ray_without_token",
        )
    try:
        ray.init(address=address, namespace="cxr", logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CxrError(f"The Ray cluster at {address} could not be joined.", code="ray_unreachable") from error
    log.info("joined the Ray cluster", address=address)


def leave() -> None:
    """Leave the cluster; nothing of it is called any more. A driver that ends without it may abort."""
    if ray.is_initialized():
        ray.shutdown()


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("ray://").rpartition(":")[0].strip("[]")
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(one).is_loopback for one in found)
