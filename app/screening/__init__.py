"""The screen: looks at every picture before anything is reported on it; a policy decides what becomes of it."""

from app.screening.policy import Screened, decide
from app.screening.protocol import Screen, Sight

__all__ = ["Screen", "Screened", "Sight", "decide"]
