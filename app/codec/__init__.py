"""The image codec: radiographs to codes and back."""

from app.codec.protocol import Codec

__all__ = ["Codec"]
