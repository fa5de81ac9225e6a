"""Bytes to radiographs. Untrusted images are decoded in worker processes."""

from app.imaging.inline import InlineReader
from app.imaging.radiograph import DicomFacts, ImageReader, Radiograph
from app.imaging.reader import read_radiograph
from app.imaging.sandbox import Sandbox

__all__ = ["DicomFacts", "ImageReader", "InlineReader", "Radiograph", "Sandbox", "read_radiograph"]
