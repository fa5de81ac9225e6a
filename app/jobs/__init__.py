"""Durable work: what becomes of a received study, step by step."""
