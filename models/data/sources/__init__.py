"""Data sets as manifests."""
