"""Clients of the field, unmodified, against the service on fakes."""
