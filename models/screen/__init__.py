"""The screen: a small network that looks at every picture before it is reported on, and plain statistics of pixels.

It says what kind of picture it is, how it is turned, whether it is mirrored or inverted, whether part of the chest is
missing. It reads nothing in it.
"""

from models.screen.config import KINDS, TURNS, ScreenConfig, Thresholds, TrainingSource
from models.screen.screen import Look, Screen
from models.screen.statistics import unreadable

__all__ = ["KINDS", "TURNS", "Look", "Screen", "ScreenConfig", "Thresholds", "TrainingSource", "unreadable"]
