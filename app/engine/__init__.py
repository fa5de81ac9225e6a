"""The language-model engine: token ids in, token ids out."""

from app.engine.protocol import Delta, Engine, Generation, Guidance, Kind, Marking, Sampling

__all__ = ["Delta", "Engine", "Generation", "Guidance", "Kind", "Marking", "Sampling"]
