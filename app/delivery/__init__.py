"""Sends results: to PACS, and words of them to a webhook."""
