"""Clients that cost little."""
