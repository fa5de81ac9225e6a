"""The parts that the jobs work with, as one value."""

from dataclasses import dataclass

from app.codec import Codec
from app.engine import Engine
from app.imaging import ImageReader
from models.bundle import Bundle


@dataclass(frozen=True)
class Services:
    """A verified bundle and the running parts that serve it."""

    bundle: Bundle
    reader: ImageReader
    codec: Codec
    engine: Engine
    # Unconstrained attempts at a drawing; 0 constrains the sampling instead.
    reference_attempts: int = 0
