"""Bundles that the package ships as data, and where they lie."""

from pathlib import Path

DEMO_BUNDLE = Path(__file__).resolve().with_name("demo")
