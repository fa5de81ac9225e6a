"""Compares a drawing with the films that the model was trained on, by the index of a bundle."""

import asyncio
from dataclasses import dataclass, replace
from typing import Self

import structlog

from app.inference.events import Drawing, NearestFilm
from app.settings import DrawSettings
from app.telemetry.timings import Timings
from models.copies.index import CopyIndex

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CopyCheck:
    """A bundle's index, the similarity above which a drawing is not given, and how often it is drawn again then."""

    index: CopyIndex
    limit: float
    redraws: int

    @classmethod
    def from_settings(cls, index: CopyIndex | None, settings: DrawSettings) -> Self | None:
        """None where the bundle has no index, or comparing is switched off."""
        if settings.copy_limit == "off":
            return None
        if index is None:
            if settings.copy_limit is not None:
                log.warning("drawings are not compared", reason="the bundle has no index of its training films")
            return None
        limit = index.config.limit if settings.copy_limit is None else settings.copy_limit
        return cls(index, limit, settings.copy_redraws)

    async def compared(self, drawing: Drawing, timings: Timings) -> Drawing:
        """The drawing with the film that it is nearest to."""
        # It takes longer the more films there are: nothing that the event loop should wait for.
        with timings.stage("compare"):
            found = await asyncio.to_thread(self.index.nearest, drawing.pixels)
        return replace(drawing, nearest=NearestFilm(found.similarity, self.limit, found.row))

    def exceeded(self, drawing: Drawing) -> bool:
        """Whether a compared drawing is too similar to a film."""
        return drawing.nearest is not None and drawing.nearest.similarity > self.limit
