"""Benchmarks of the service beside its contenders."""
