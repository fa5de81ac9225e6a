"""Figures of a bundle on a manifest, each command one JSON object."""
