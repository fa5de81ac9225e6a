"""Marks in drawings that say that a machine made them: XMP, Content Credentials (C2PA)."""
