"""Destinations: where results go, by STOW-RS or C-STORE."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from app.delivery.dimse import DimseDestination
from app.delivery.stow import StowDestination
from app.settings import Settings


class Destination(Protocol):
    """A PACS that takes results."""

    name: str

    async def send(self, files: Sequence[Path]) -> None:
        """Send Part 10 files. Raises DeliveryFailed."""

    async def check(self) -> None:
        """See whether it answers. Raises DeliveryFailed."""


def destinations(settings: Settings) -> list[Destination]:
    """The configured destinations."""
    return [
        StowDestination(one) if one.dicomweb_url else DimseDestination(one, settings.dimse.ae_title)
        for one in settings.destinations
    ]
