"""The parts that the jobs work with, as one value."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.codec import Codec
from app.engine import Engine
from app.imaging import ImageReader
from app.inference.cache import Recent
from app.inference.partials import PartialBudget
from models.bundle import Bundle

if TYPE_CHECKING:
    from app.inference.pipelines import Reading


@dataclass(frozen=True)
class Services:
    """A verified bundle and the running parts that serve it."""

    bundle: Bundle
    reader: ImageReader
    codec: Codec
    engine: Engine
    # Unconstrained attempts at a drawing; 0 constrains the sampling instead.
    reference_attempts: int = 0
    readings: "Recent[Reading]" = field(default_factory=lambda: Recent(0))
    partials: PartialBudget = field(default_factory=PartialBudget)
