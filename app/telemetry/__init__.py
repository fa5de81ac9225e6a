"""Metrics, logs and timings."""
