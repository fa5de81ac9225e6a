"""Soak test: studies arrive while everything that can fail fails; none may be lost, reported twice, or stay open."""

from benchmarks.soak.run import soak

__all__ = ["soak"]
