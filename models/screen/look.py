"""What a screen says of one picture."""

from dataclasses import dataclass

from models.screen.config import KINDS, TURNS


@dataclass(frozen=True)
class Look:
    """Probabilities of one picture: of the four kinds, which sum to 1, of the four turns, which sum to 1, and of flags.

    `turned_90` is that of a film turned 90 degrees anticlockwise. Turns and flags are those of a frontal film, and mean
    little where `frontal` is low.
    """

    frontal: float
    lateral: float
    other_radiograph: float
    not_a_radiograph: float
    upright: float
    turned_90: float
    turned_180: float
    turned_270: float
    mirrored: float
    inverted_grey: float
    cut: float

    @property
    def kind(self) -> str:
        """The likeliest of `KINDS`."""
        return max(KINDS, key=lambda name: float(getattr(self, name)))

    @property
    def turn(self) -> int:
        """The likeliest of `TURNS`, degrees anticlockwise."""
        turns = (self.upright, self.turned_90, self.turned_180, self.turned_270)
        return TURNS[turns.index(max(turns))]

    @property
    def turned(self) -> float:
        """Probability of any turn but none."""
        return 1.0 - self.upright
