"""Receives DICOM instances and makes them durable."""
